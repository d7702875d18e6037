#include "backend/cuda/ops.h"
#include "backend/cuda/segments.h"

namespace node_cudnn::cuda {
namespace {

struct Rule {
  float momentum, weight_decay, trust;
};

struct Scalars {
  const float *learning_rate, *scale;  // scale may be missing
  __device__ float factor() const { return scale ? *scale : 1; }
};

struct Squares {
  float gradient, weight;
};

constexpr int gradient = 0, weight = 1, velocity = 2;

// The sums of squares of every chunk.
template <class Table>
__global__ void __launch_bounds__(block_threads) squares_kernel(Table table, Squares* partial) {
  const int chunk = static_cast<int>(blockIdx.x), value = table.find(chunk);
  const float *g = table.values[gradient][value], *w = table.values[weight][value];
  Squares sums = {};
  for_chunk(table.counts[value], chunk - table.first_chunk[value], [&](int64_t i, auto width) {
    constexpr int n = decltype(width)::value;
    const auto gradients = load<n>(g + i), weights = load<n>(w + i);
    for (int k = 0; k < n; ++k) {
      sums.gradient += gradients.at[k] * gradients.at[k];
      sums.weight += weights.at[k] * weights.at[k];
    }
  });
  sums = {block_sum(sums.gradient), block_sum(sums.weight)};
  if (threadIdx.x == 0) partial[chunk] = sums;
}

// A block for every value: the rate of its own, left at the place of its first chunk.
template <class Table>
__global__ void __launch_bounds__(block_threads)
    rate_kernel(Rule rule, Scalars scalars, Table table, const Squares* partial, float* rates) {
  const int value = static_cast<int>(blockIdx.x), first = table.first_chunk[value];
  const int chunks = chunks_of(table.counts[value]);
  Squares sums = {};
  for (int i = static_cast<int>(threadIdx.x); i < chunks; i += static_cast<int>(blockDim.x)) {
    sums.gradient += partial[first + i].gradient;
    sums.weight += partial[first + i].weight;
  }
  sums = {block_sum(sums.gradient), block_sum(sums.weight)};
  if (threadIdx.x != 0) return;
  const float gradients = fabsf(scalars.factor()) * sqrtf(sums.gradient), weights = sqrtf(sums.weight);
  const bool trusted = weights != 0 && gradients != 0;
  const float ratio = trusted ? rule.trust * weights / (gradients + rule.weight_decay * weights) : 1;
  rates[first] = *scalars.learning_rate * ratio;
}

template <class Table>
__global__ void __launch_bounds__(block_threads)
    lars_kernel(Rule rule, Scalars scalars, Table table, const float* rates) {
  const int chunk = static_cast<int>(blockIdx.x), value = table.find(chunk);
  const float rate = rates[table.first_chunk[value]], factor = scalars.factor();
  const float* g = table.values[gradient][value];
  float *w = table.values[weight][value], *v = table.values[velocity][value];
  for_chunk(table.counts[value], chunk - table.first_chunk[value], [&](int64_t i, auto width) {
    constexpr int n = decltype(width)::value;
    const auto gradients = load<n>(g + i);
    auto weights = load<n>(w + i), velocities = load<n>(v + i);
    for (int k = 0; k < n; ++k) {
      const float own = factor * gradients.at[k] + rule.weight_decay * weights.at[k];
      velocities.at[k] = rule.momentum * velocities.at[k] + rate * own;
      weights.at[k] -= velocities.at[k];
    }
    store(w + i, weights);
    store(v + i, velocities);
  });
}

Rule make_rule(const Node& node) {
  const auto number = [&](const char* key) { return static_cast<float>(expect_number(node, key, 0, 1e30)); };
  return {number("momentum"), number("weight_decay"), number("trust")};
}

}  // namespace

Prepared prepare_lars_update(Cuda& cuda, const Graph& graph, const Node& node) {
  const Update u = expect_update(graph, node, 1, 1);
  const auto all_chunks = static_cast<size_t>(expect_chunks(u.counts));
  const Rule rule = make_rule(node);
  const auto run = [=, &cuda](const Arguments& a) {
    auto* partial = static_cast<Squares*>(a.workspace);
    auto* rates = reinterpret_cast<float*>(partial + all_chunks);
    const Scalars scalars = {input<float>(a, 0), u.scaled ? input<float>(a, 1) : nullptr};
    const auto pointer = [&](int k, size_t i) -> float* {
      if (k == gradient) return static_cast<float*>(a.inputs[u.first_gradient + i]);
      return output<float>(a, k == weight ? i : u.n + i);
    };
    for_segments<3>(u.counts, pointer, [&](const auto& table, unsigned chunks, int before) {
      using Table = std::decay_t<decltype(table)>;
      launch(squares_kernel<Table>, chunks, block_threads, 0, cuda.stream, table, partial + before);
      launch(rate_kernel<Table>, static_cast<unsigned>(table.used), block_threads, 0, cuda.stream, rule, scalars, table,
             partial + before, rates + before);
      launch(lars_kernel<Table>, chunks, block_threads, 0, cuda.stream, rule, scalars, table, rates + before);
    });
  };
  return prepared("cuda", run, all_chunks * (sizeof(Squares) + sizeof(float)));
}

}  // namespace node_cudnn::cuda
