#include "backend/cuda/step.h"

namespace node_cudnn::cuda {

Step::~Step() {
  if (replay_ != nullptr) cudaGraphExecDestroy(replay_);
}

void Step::run() {
  if (!warm_) {
    launches_();
    warm_ = true;
    return;
  }
  if (replay_ == nullptr) capture();
  check(cudaGraphLaunch(replay_, stream_), "cudaGraphLaunch");
}

void Step::capture() {
  cudaGraph_t graph = nullptr;
  check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
  try {
    launches_();
  } catch (...) {  // the stream leaves capture, whatever became of it
    if (cudaStreamEndCapture(stream_, &graph) == cudaSuccess) cudaGraphDestroy(graph);
    cudaGetLastError();
    throw;
  }
  check(cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
  const cudaError_t status = cudaGraphInstantiate(&replay_, graph, 0);
  cudaGraphDestroy(graph);
  check(status, "cudaGraphInstantiate");
}

}  // namespace node_cudnn::cuda
