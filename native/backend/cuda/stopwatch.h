// The time that work takes on the device: captured and replayed as in a step, with cold caches; that of a plan, over
// scratch operands.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "backend/cuda/libraries.h"
#include "backend/cuda/step.h"

namespace node_cudnn::cuda {

// Device memory for as long as it is in scope.
class Scratch {
 public:
  explicit Scratch(size_t bytes) { check(cudaMalloc(&address_, bytes), "cudaMalloc"); }
  ~Scratch() { cudaFree(address_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* address() const { return address_; }

 private:
  void* address_ = nullptr;
};

constexpr int small_number = 0x3c;  // as every byte: above zero in every float type

class Stopwatch {
 public:
  static constexpr float no_limit = std::numeric_limits<float>::infinity();

  // Every byte of the operands holds `pattern`.
  Stopwatch(const Cuda& cuda, const std::vector<size_t>& input_bytes, const std::vector<size_t>& output_bytes,
            int pattern = small_number);
  ~Stopwatch();
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  // The median of a few runs, after one that is not counted; of a single one, where that takes twice the limit.
  float milliseconds(Plan& plan, float limit = no_limit);
  float milliseconds(const std::function<void()>& work, float limit = no_limit);

 private:
  void fill(const Scratch& scratch, size_t bytes, int pattern);
  void* workspace(size_t bytes);
  float run(Replay& replay);

  const Cuda& cuda_;
  std::vector<std::unique_ptr<Scratch>> operands_;
  std::vector<void*> inputs_, outputs_;
  const size_t flush_bytes_;
  Scratch flush_;
  std::unique_ptr<Scratch> workspace_;
  size_t workspace_bytes_ = 0;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

}  // namespace node_cudnn::cuda
