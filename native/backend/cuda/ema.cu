#include "backend/cuda/ops.h"
#include "backend/cuda/segments.h"

namespace node_cudnn::cuda {
namespace {

template <class Table>
__global__ void __launch_bounds__(block_threads) ema_kernel(float share, const int32_t* step, Table table) {
  const int chunk = static_cast<int>(blockIdx.x), value = table.find(chunk);
  const bool begins = *step == 0 || share == 1;
  const float* x = table.values[0][value];
  float* average = table.values[1][value];
  for_chunk(table.counts[value], chunk - table.first_chunk[value], [&](int64_t i, auto width) {
    constexpr int n = decltype(width)::value;
    const auto values = load<n>(x + i);
    auto averages = load<n>(average + i);
    for (int k = 0; k < n; ++k)
      averages.at[k] = begins ? values.at[k] : averages.at[k] + share * (values.at[k] - averages.at[k]);
    store(average + i, averages);
  });
}

}  // namespace

Prepared prepare_ema_update(Cuda& cuda, const Graph& graph, const Node& node) {
  expect(node.inputs.size() >= 2, "needs a step and at least one value");
  const size_t n = node.inputs.size() - 1;
  expect_counts(node, n + 1, n);
  expect_type("step", input_type(graph, node, 0), plain(DType::int32, {1}));
  const auto share = static_cast<float>(1 - expect_number(node, "decay", 0, 1));
  std::vector<int64_t> counts;
  for (size_t i = 0; i < n; ++i) {
    const ValueType& own = output_type(graph, node, i);
    expect_type("average", own, {DType::float32, own.format, own.shape});
    expect_type("value", input_type(graph, node, 1 + i), own);
    counts.push_back(elements(own.shape));
  }
  expect_chunks(counts);
  return prepared("cuda", [=, &cuda](const Arguments& a) {
    const auto pointer = [&](int k, size_t i) -> float* {
      return k == 0 ? static_cast<float*>(a.inputs[1 + i]) : output<float>(a, i);
    };
    for_segments<2>(counts, pointer, [&](const auto& table, unsigned chunks, int) {
      using Table = std::decay_t<decltype(table)>;
      launch(ema_kernel<Table>, chunks, block_threads, 0, cuda.stream, share, input<int32_t>(a, 0), table);
    });
  });
}

}  // namespace node_cudnn::cuda
