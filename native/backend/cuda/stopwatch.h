// The time that a plan takes on the device, over scratch operands, with cold caches as in a step.
#pragma once

#include <vector>

#include "backend/cuda/libraries.h"

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

class Stopwatch {
 public:
  Stopwatch(const Cuda& cuda, const std::vector<size_t>& input_bytes, const std::vector<size_t>& output_bytes);
  ~Stopwatch();
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  float milliseconds(Plan& plan);  // the median of a few runs, after one that is not counted

 private:
  void fill(const Scratch& scratch, size_t bytes);
  float run(Plan& plan, void* workspace);

  const Cuda& cuda_;
  std::vector<std::unique_ptr<Scratch>> operands_;
  std::vector<void*> inputs_, outputs_;
  Scratch flush_;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

}  // namespace node_cudnn::cuda
