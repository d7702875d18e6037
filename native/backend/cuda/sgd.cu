#include "backend/cuda/ops.h"
#include "backend/cuda/segments.h"

namespace node_cudnn::cuda {
namespace {

struct Rule {
  float momentum, weight_decay;
  bool nesterov;
};

constexpr int gradient = 0, weight = 1, velocity = 2;

template <bool has_momentum, class Table>
__global__ void __launch_bounds__(block_threads)
    sgd_kernel(Rule rule, const float* learning_rate, const float* scale, Table table) {
  const int chunk = static_cast<int>(blockIdx.x), value = table.find(chunk);
  const float rate = *learning_rate, factor = scale ? *scale : 1;
  const float* g = table.values[gradient][value];
  float *w = table.values[weight][value], *m = has_momentum ? table.values[velocity][value] : nullptr;
  for_chunk(table.counts[value], chunk - table.first_chunk[value], [&](int64_t i, auto width) {
    constexpr int n = decltype(width)::value;
    const auto gradients = load<n>(g + i);
    auto weights = load<n>(w + i);
    Vector<float, n> velocities = {};
    if constexpr (has_momentum) velocities = load<n>(m + i);
    for (int k = 0; k < n; ++k) {
      const float own = factor * gradients.at[k] + rule.weight_decay * weights.at[k];
      float step = own;
      if constexpr (has_momentum) {
        velocities.at[k] = rule.momentum * velocities.at[k] + own;
        step = rule.nesterov ? own + rule.momentum * velocities.at[k] : velocities.at[k];
      }
      weights.at[k] -= rate * step;
    }
    store(w + i, weights);
    if constexpr (has_momentum) store(m + i, velocities);
  });
}

Rule make_rule(const Node& node) {
  constexpr double any = 1e30;
  const Rule rule{static_cast<float>(expect_number(node, "momentum", 0, any)),
                  static_cast<float>(expect_number(node, "weight_decay", 0, any)), node.attributes.flag("nesterov")};
  expect(rule.momentum > 0 || !rule.nesterov, "nesterov needs momentum");
  return rule;
}

struct Sgd {
  Rule rule;
  Update u;

  template <bool has_momentum>
  void run(const Cuda& cuda, const Arguments& a) const {
    const auto pointer = [&](int k, size_t i) -> float* {
      if (k == gradient) return static_cast<float*>(a.inputs[u.first_gradient + i]);
      return output<float>(a, k == weight ? i : u.n + i);
    };
    const float* scale = u.scaled ? input<float>(a, 1) : nullptr;
    for_segments<has_momentum ? 3 : 2>(u.counts, pointer, [&](const auto& table, unsigned chunks, int) {
      using Table = std::decay_t<decltype(table)>;
      launch(sgd_kernel<has_momentum, Table>, chunks, block_threads, 0, cuda.stream, rule, input<float>(a, 0), scale,
             table);
    });
  }
};

}  // namespace

Prepared prepare_sgd_update(Cuda& cuda, const Graph& graph, const Node& node) {
  const Rule rule = make_rule(node);
  const bool has_momentum = rule.momentum > 0;
  const Sgd sgd{rule, expect_update(graph, node, 1, has_momentum ? 1 : 0)};
  expect_chunks(sgd.u.counts);
  return prepared("cuda", [&cuda, sgd, has_momentum](const Arguments& a) {
    if (has_momentum)
      sgd.run<true>(cuda, a);
    else
      sgd.run<false>(cuda, a);
  });
}

}  // namespace node_cudnn::cuda
