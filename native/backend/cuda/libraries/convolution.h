// Convolutions as cuDNN graphs. Plans come from a handle, or, without a device, from the description of one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/cuda/libraries.h"
#include "backend/cuda/libraries/cudnn.h"

namespace node_cudnn::cuda {

class ConvolutionPlanner {
 public:
  // For a device: the handle stays the caller's.
  ConvolutionPlanner(const CudnnFunctions& cudnn, cudnnHandle_t handle, bool deterministic)
      : cudnn_(cudnn), handle_(handle), deterministic_(deterministic) {}
  // For the device that cuDNN's JSON describes; plans can be built, not run.
  ConvolutionPlanner(const CudnnFunctions& cudnn, const std::string& device_json);

  std::vector<Candidate> candidates(const Convolution& convolution) const;
  std::unique_ptr<Plan> build(const Convolution& convolution, const Candidate& candidate) const;

 private:
  std::vector<Descriptor> configurations(const Descriptor& graph, cudnnBackendHeurMode_t mode) const;

  const CudnnFunctions& cudnn_;
  cudnnHandle_t handle_ = nullptr;
  std::optional<Descriptor> device_;
  bool deterministic_ = false;
};

}  // namespace node_cudnn::cuda
