// The launches of one step as a CUDA graph. The first step is launched as it is, which loads what the runtime and the
// libraries load lazily; the second is captured; from then on one call replays it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "backend/cuda/cuda.h"

namespace node_cudnn::cuda {

class Replay {
 public:
  Replay(cudaStream_t stream, const std::function<void()>& launches);
  ~Replay() { cudaGraphExecDestroy(graph_); }
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  void run() { check(cudaGraphLaunch(graph_, stream_), "cudaGraphLaunch"); }

 private:
  cudaStream_t stream_;
  cudaGraphExec_t graph_ = nullptr;
};

class Step {
 public:
  Step(cudaStream_t stream, std::function<void()> launches) : stream_(stream), launches_(std::move(launches)) {}

  void run();

 private:
  cudaStream_t stream_;
  std::function<void()> launches_;
  bool warm_ = false;
  std::unique_ptr<Replay> replay_;
};

// Runs these once and gives the seconds of each on the device: its kernels, and what the device takes to begin them.
// What they load lazily must have been loaded.
std::vector<double> time_on_device(cudaStream_t stream, const std::vector<std::function<void()>>& launches);

}  // namespace node_cudnn::cuda
