#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"

namespace node_cudnn::cpu {

Prepared prepare_weighted_sum(const Cpu&, const Graph& graph, const Node& node) {
  expect(!node.inputs.empty(), "needs at least one value");
  expect_counts(node, node.inputs.size(), 1);
  for (size_t i = 0; i < node.inputs.size(); ++i)
    expect_type("every value", input_type(graph, node, i), plain(DType::float32, {1}));
  expect_type("y", output_type(graph, node, 0), plain(DType::float32, {1}));
  const std::vector<double>& weights = node.attributes.numbers("weights");
  expect(weights.size() == node.inputs.size(),
         std::to_string(weights.size()) + " weights for " + std::to_string(node.inputs.size()) + " values");
  return prepared("loops", [weights](const Arguments& a) {
    double sum = 0;
    for (size_t i = 0; i < weights.size(); ++i) sum += weights[i] * double{*input<float>(a, i)};
    *output<float>(a, 0) = static_cast<float>(sum);
  });
}

}  // namespace node_cudnn::cpu
