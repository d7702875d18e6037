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
  const std::vector<int64_t> counts = expect_ema_update(graph, node);
  const auto share = static_cast<float>(1 - expect_number(node, "decay", 0, 1));
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
