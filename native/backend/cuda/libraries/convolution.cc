#include "backend/cuda/libraries/convolution.h"

#include "backend/cuda/libraries/operations.h"

namespace node_cudnn::cuda {

namespace {

// Whether an engine keeps the precision that was asked for.
bool serves(const Engine& engine, const Convolution& c, bool deterministic) {
  const bool exact = c.dtype == DType::float32 && !c.tf32;
  // These add with atomics; where there are precompiled ones, they are left out.
  if (c.statistics && engine.compiles && (deterministic || c.dtype == DType::float16)) return false;
  if (deterministic && engine.has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) return false;
  if (exact && engine.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE)) return false;
  if (exact && engine.has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)) return false;
  return !engine.has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION);
}

}  // namespace

std::vector<Candidate> candidates(const GraphPlanner& planner, const Convolution& c) {
  auto found = planner.candidates([&] { return operations(planner.cudnn(), c); },
                                  [&](const Engine& engine) { return serves(engine, c, planner.deterministic()); });
  for (Candidate& candidate : found) candidate.accumulates = c.statistics && candidate.compiles;
  return found;
}

std::unique_ptr<Plan> build(const GraphPlanner& planner, const Convolution& c, const Candidate& candidate) {
  auto plan = planner.build(candidate);
  if (!plan) return nullptr;
  const Spare spare{spare_uids(c), static_cast<size_t>(c.x[1]) * sizeof(float)};
  return std::make_unique<OperandPlan>(std::move(*plan), uids(c), outputs_of(c), spare);
}

}  // namespace node_cudnn::cuda
