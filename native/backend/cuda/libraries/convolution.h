// Convolutions as cuDNN graphs.
#pragma once

#include "backend/cuda/libraries/graph.h"

namespace node_cudnn::cuda {

std::vector<Candidate> candidates(const GraphPlanner& planner, const Convolution& convolution);
std::unique_ptr<Plan> build(const GraphPlanner& planner, const Convolution& convolution, const Candidate& candidate);

}  // namespace node_cudnn::cuda
