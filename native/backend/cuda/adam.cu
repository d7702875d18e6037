#include <cmath>

#include "backend/cuda/ops.h"
#include "backend/cuda/segments.h"

namespace node_cudnn::cuda {
namespace {

// 1 - beta^t is formed as -expm1(t * log(beta)): beta lies so near to 1 that float32 would lose it.
struct Rule {
  float beta1, beta2, rest1, rest2, log1, log2, epsilon, weight_decay;
  bool decoupled;
};

constexpr int gradient = 0, weight = 1, first_moment = 2, second_moment = 3;

template <class Table>
__global__ void __launch_bounds__(block_threads)
    adam_kernel(Rule rule, const float* learning_rate, const int32_t* step, const float* scale, Table table) {
  const int chunk = static_cast<int>(blockIdx.x), value = table.find(chunk);
  const float rate = *learning_rate, factor = scale ? *scale : 1, t = static_cast<float>(*step) + 1;
  const float correction1 = -expm1f(t * rule.log1), correction2 = -expm1f(t * rule.log2);
  const float kept = rule.decoupled ? 1 - rate * rule.weight_decay : 1;
  const float decay = rule.decoupled ? 0 : rule.weight_decay;
  const float* g = table.values[gradient][value];
  float *w = table.values[weight][value], *m = table.values[first_moment][value],
        *v = table.values[second_moment][value];
  for_chunk(table.counts[value], chunk - table.first_chunk[value], [&](int64_t i, auto width) {
    constexpr int n = decltype(width)::value;
    const auto gradients = load<n>(g + i);
    auto weights = load<n>(w + i), means = load<n>(m + i), squares = load<n>(v + i);
    for (int k = 0; k < n; ++k) {
      const float own = factor * gradients.at[k] + decay * weights.at[k];
      means.at[k] = rule.beta1 * means.at[k] + rule.rest1 * own;
      squares.at[k] = rule.beta2 * squares.at[k] + rule.rest2 * own * own;
      const float step_size = means.at[k] / correction1 / (sqrtf(squares.at[k] / correction2) + rule.epsilon);
      weights.at[k] = kept * weights.at[k] - rate * step_size;
    }
    store(w + i, weights);
    store(m + i, means);
    store(v + i, squares);
  });
}

Rule make_rule(const Node& node) {
  constexpr double any = 1e30;
  const double beta1 = expect_number(node, "beta1", 0, 1), beta2 = expect_number(node, "beta2", 0, 1);
  expect(beta1 < 1 && beta2 < 1, "beta1 and beta2 must be below 1");
  const auto single = [](double x) { return static_cast<float>(x); };
  return {single(beta1),
          single(beta2),
          single(1 - beta1),
          single(1 - beta2),
          single(std::log(beta1)),
          single(std::log(beta2)),
          single(expect_number(node, "epsilon", 0, any)),
          single(expect_number(node, "weight_decay", 0, any)),
          node.attributes.flag("decoupled")};
}

}  // namespace

Prepared prepare_adam_update(Cuda& cuda, const Graph& graph, const Node& node) {
  const Update u = expect_update(graph, node, 2, 2);
  expect_type("step", input_type(graph, node, 1), plain(DType::int32, {1}));
  expect_chunks(u.counts);
  const Rule rule = make_rule(node);
  return prepared("cuda", [=, &cuda](const Arguments& a) {
    const auto pointer = [&](int k, size_t i) -> float* {
      if (k == gradient) return static_cast<float*>(a.inputs[u.first_gradient + i]);
      return output<float>(a, static_cast<size_t>(k - weight) * u.n + i);
    };
    for_segments<4>(u.counts, pointer, [&](const auto& table, unsigned chunks, int) {
      using Table = std::decay_t<decltype(table)>;
      launch(adam_kernel<Table>, chunks, block_threads, 0, cuda.stream, rule, input<float>(a, 0), input<int32_t>(a, 1),
             u.scaled ? input<float>(a, 2) : nullptr, table);
    });
  });
}

}  // namespace node_cudnn::cuda
