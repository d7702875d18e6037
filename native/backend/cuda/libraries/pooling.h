// Pooling as cuDNN graphs; all of their engines are compiled at run time.
#pragma once

#include "backend/cuda/libraries/graph.h"

namespace node_cudnn::cuda {

std::vector<Candidate> candidates(const GraphPlanner& planner, const Pooling& pooling);
std::unique_ptr<Plan> build(const GraphPlanner& planner, const Pooling& pooling, const Candidate& candidate);

}  // namespace node_cudnn::cuda
