// The launches of one step as a CUDA graph. The first step is launched as it is, which loads what the runtime and the
// libraries load lazily; the second is captured; from then on one call replays it.
#pragma once

#include <functional>

#include "backend/cuda/cuda.h"

namespace node_cudnn::cuda {

class Step {
 public:
  Step(cudaStream_t stream, std::function<void()> launches) : stream_(stream), launches_(std::move(launches)) {}
  ~Step();
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  void run();

 private:
  void capture();

  cudaStream_t stream_;
  std::function<void()> launches_;
  bool warm_ = false;
  cudaGraphExec_t replay_ = nullptr;
};

}  // namespace node_cudnn::cuda
