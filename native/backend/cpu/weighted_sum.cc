#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"

namespace node_cudnn::cpu {

Prepared prepare_weighted_sum(const Cpu&, const Graph& graph, const Node& node) {
  const std::vector<double> weights = expect_weighted_sum(graph, node);
  return prepared("loops", [weights](const Arguments& a) {
    double sum = 0;
    for (size_t i = 0; i < weights.size(); ++i) sum += weights[i] * double{*input<float>(a, i)};
    *output<float>(a, 0) = static_cast<float>(sum);
  });
}

}  // namespace node_cudnn::cpu
