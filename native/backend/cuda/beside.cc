#include "backend/cuda/beside.h"

#include <algorithm>

namespace node_cudnn::cuda {

namespace {

class OwnPlan final : public Plan {
 public:
  explicit OwnPlan(Prepared& own) : own_(own) {}
  void run(cudaStream_t, const Arguments& arguments) override { own_.kernel->run(arguments); }
  size_t workspace_bytes() const override { return own_.workspace_bytes; }

 private:
  Prepared& own_;
};

class PlanKernel final : public Kernel {
 public:
  PlanKernel(Cuda& cuda, std::shared_ptr<Plan> plan) : cuda_(cuda), plan_(std::move(plan)) {}
  void run(const Arguments& arguments) override { plan_->run(cuda_.stream, arguments); }

 private:
  Cuda& cuda_;
  std::shared_ptr<Plan> plan_;
};

// cuDNN takes dense operands whose channels come in eights; of others it has nothing, or compiles for long.
bool suits(const Graph& graph, const Node& node, int64_t channels) {
  const auto is_dense = [&](int value) { return graph.values[static_cast<size_t>(value)].whole < 0; };
  return channels % 8 == 0 && std::all_of(node.inputs.begin(), node.inputs.end(), is_dense) &&
         std::all_of(node.outputs.begin(), node.outputs.end(), is_dense);
}

template <class Problem>
Prepared beside_plan(Cuda& cuda, const Graph& graph, const Node& node, const Problem& problem, Prepared own,
                     const Engines::Completion& complete = {}) {
  if (!suits(graph, node, problem.x[1])) return own;
  OwnPlan current(own);
  Engines::Choice choice = cuda.engines->instead_of(current, problem, complete);
  if (!choice.plan) return own;
  const size_t workspace = choice.plan->workspace_bytes();
  return {std::make_unique<PlanKernel>(cuda, std::move(choice.plan)), workspace, choice.name, {}};
}

}  // namespace

Prepared beside(Cuda& cuda, const Graph& graph, const Node& node, const Normalization& normalization, Prepared own,
                const Engines::Completion& complete) {
  return beside_plan(cuda, graph, node, normalization, std::move(own), complete);
}

Prepared beside(Cuda& cuda, const Graph& graph, const Node& node, const Pooling& pooling, Prepared own) {
  return beside_plan(cuda, graph, node, pooling, std::move(own));
}

}  // namespace node_cudnn::cuda
