#include <cfloat>

#include "backend/cuda/ops.h"
#include "backend/cuda/segments.h"

namespace node_cudnn::cuda {
namespace {

constexpr int scaled = 0, unscaled = 1;

// Counts what is not finite, one count per chunk.
template <class Table>
__global__ void __launch_bounds__(block_threads) unscale_kernel(const float* loss_scale, Table table, int* bad) {
  const int chunk = static_cast<int>(blockIdx.x), value = table.find(chunk);
  const float scale = *loss_scale;
  const float* g = table.values[scaled][value];
  float* y = table.values[unscaled][value];
  int count = 0;
  for_chunk(table.counts[value], chunk - table.first_chunk[value], [&](int64_t i, auto width) {
    constexpr int n = decltype(width)::value;
    auto values = load<n>(g + i);
    for (int k = 0; k < n; ++k) {
      values.at[k] /= scale;
      count += !(fabsf(values.at[k]) <= FLT_MAX);  // a NaN compares false
    }
    store(y + i, values);
  });
  count = block_sum(count);
  if (threadIdx.x == 0) bad[chunk] = count;
}

__global__ void __launch_bounds__(block_threads) finite_kernel(int64_t chunks, const int* bad, int32_t* finite) {
  int count = 0;
  for (int64_t i = threadIdx.x; i < chunks; i += blockDim.x) count += bad[i] != 0;
  count = block_sum(count);
  if (threadIdx.x == 0) *finite = count == 0;
}

struct Rule {
  float growth, backoff;
  int32_t interval;
};

__global__ void update_loss_scale_kernel(Rule rule, const int32_t* finite, float* scale, int32_t* good_steps) {
  if (*finite == 0) {
    *scale *= rule.backoff;
    *good_steps = 0;
  } else if (++*good_steps == rule.interval) {
    const float grown = *scale * rule.growth;
    if (grown <= FLT_MAX) *scale = grown;
    *good_steps = 0;
  }
}

}  // namespace

Prepared prepare_unscale(Cuda& cuda, const Graph& graph, const Node& node) {
  expect(node.inputs.size() >= 2, "needs a loss scale and at least one gradient");
  const size_t n = node.inputs.size() - 1;
  expect_counts(node, n + 1, n + 1);
  expect_type("loss_scale", input_type(graph, node, 0), plain(DType::float32, {1}));
  expect_type("finite", output_type(graph, node, n), plain(DType::int32, {1}));
  std::vector<int64_t> counts;
  InPlace in_place;
  for (size_t i = 0; i < n; ++i) {
    const ValueType& own = input_type(graph, node, 1 + i);
    expect_type("gradient", own, {DType::float32, own.format, own.shape});
    expect_type("unscaled gradient", output_type(graph, node, i), own);
    counts.push_back(elements(own.shape));
    in_place.emplace_back(static_cast<int>(i), static_cast<int>(1 + i));
  }
  const int64_t chunks = expect_chunks(counts);
  return prepared(
      "cuda",
      [=, &cuda](const Arguments& a) {
        auto* bad = static_cast<int*>(a.workspace);
        const auto pointer = [&](int k, size_t i) -> float* {
          return k == scaled ? static_cast<float*>(a.inputs[1 + i]) : output<float>(a, i);
        };
        for_segments<2>(counts, pointer, [&](const auto& table, unsigned count, int before) {
          using Table = std::decay_t<decltype(table)>;
          launch(unscale_kernel<Table>, count, block_threads, 0, cuda.stream, input<float>(a, 0), table, bad + before);
        });
        launch(finite_kernel, 1, block_threads, 0, cuda.stream, chunks, bad, output<int32_t>(a, n));
      },
      static_cast<size_t>(chunks) * sizeof(int), in_place);
}

Prepared prepare_update_loss_scale(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 2);
  expect_type("finite", input_type(graph, node, 0), plain(DType::int32, {1}));
  expect_type("loss_scale", output_type(graph, node, 0), plain(DType::float32, {1}));
  expect_type("good_steps", output_type(graph, node, 1), plain(DType::int32, {1}));
  const Rule rule{static_cast<float>(expect_number(node, "growth", 1, FLT_MAX)),
                  static_cast<float>(expect_number(node, "backoff", 0, 1)),
                  static_cast<int32_t>(expect_integer(node, "interval", 1))};
  return prepared("cuda", [=, &cuda](const Arguments& a) {
    launch(update_loss_scale_kernel, 1, 1, 0, cuda.stream, rule, input<int32_t>(a, 0), output<float>(a, 0),
           output<int32_t>(a, 1));
  });
}

}  // namespace node_cudnn::cuda
