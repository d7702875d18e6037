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

Rule make_rule(const Node& node, bool has_momentum) {
  constexpr double any = 1e30;
  const Rule rule{static_cast<float>(expect_number(node, "momentum", 0, any)),
                  static_cast<float>(expect_number(node, "weight_decay", 0, any)), node.attributes.flag("nesterov")};
  expect(has_momentum == (rule.momentum > 0), "momentum values are given exactly where momentum is not 0");
  expect(has_momentum || !rule.nesterov, "nesterov needs momentum");
  return rule;
}

struct Update {
  Rule rule;
  size_t first;  // input of the first gradient
  std::vector<int64_t> counts;

  template <bool has_momentum>
  void run(const Cuda& cuda, const Arguments& a) const {
    const size_t n = counts.size();
    const auto pointer = [&](int k, size_t i) -> float* {
      if (k == gradient) return static_cast<float*>(a.inputs[first + i]);
      return output<float>(a, k == weight ? i : n + i);
    };
    const float* scale = first == 2 ? input<float>(a, 1) : nullptr;
    for_segments<has_momentum ? 3 : 2>(counts, pointer, [&](const auto& table, unsigned chunks, int) {
      using Table = std::decay_t<decltype(table)>;
      launch(sgd_kernel<has_momentum, Table>, chunks, block_threads, 0, cuda.stream, rule, input<float>(a, 0), scale,
             table);
    });
  }
};

}  // namespace

Prepared prepare_sgd_update(Cuda& cuda, const Graph& graph, const Node& node) {
  const size_t first = node.attributes.flag("scaled") ? 2 : 1;
  expect(node.inputs.size() > first, "needs a learning rate and at least one gradient");
  const size_t n = node.inputs.size() - first;
  const bool has_momentum = node.outputs.size() == 2 * n;
  expect_counts(node, first + n, has_momentum ? 2 * n : n);
  expect_type("learning_rate", input_type(graph, node, 0), plain(DType::float32, {1}));
  if (first == 2) expect_type("scale", input_type(graph, node, 1), plain(DType::float32, {1}));
  Update update{make_rule(node, has_momentum), first, {}};
  for (size_t i = 0; i < n; ++i) {
    const ValueType& own = output_type(graph, node, i);
    expect_type("weight", own, {DType::float32, own.format, own.shape});
    expect_type("gradient", input_type(graph, node, first + i), own);
    if (has_momentum) expect_type("momentum", output_type(graph, node, n + i), own);
    update.counts.push_back(elements(own.shape));
  }
  expect_chunks(update.counts);
  return prepared("cuda", [&cuda, update, has_momentum](const Arguments& a) {
    if (has_momentum)
      update.run<true>(cuda, a);
    else
      update.run<false>(cuda, a);
  });
}

}  // namespace node_cudnn::cuda
