// The time that work takes on the device, with cold caches as in a step; that of a plan, over scratch operands.
#pragma once

#include <functional>
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

  // The median of a few runs, after one that is not counted.
  float milliseconds(Plan& plan);
  float milliseconds(const std::function<void()>& work);

 private:
  void fill(const Scratch& scratch, size_t bytes);
  float run(const std::function<void()>& work);

  const Cuda& cuda_;
  std::vector<std::unique_ptr<Scratch>> operands_;
  std::vector<void*> inputs_, outputs_;
  Scratch flush_;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

}  // namespace node_cudnn::cuda
