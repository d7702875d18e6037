#include "backend/cuda/ops.h"
#include "backend/cuda/segments.h"

namespace node_cudnn::cuda {
namespace {

// One sum of squares per chunk.
template <class Table>
__global__ void __launch_bounds__(block_threads) squares_kernel(Table table, float* partial) {
  const int chunk = static_cast<int>(blockIdx.x), value = table.find(chunk);
  const float* g = table.values[0][value];
  float sum = 0;
  for_chunk(table.counts[value], chunk - table.first_chunk[value], [&](int64_t i, auto width) {
    constexpr int n = decltype(width)::value;
    const auto values = load<n>(g + i);
    for (int k = 0; k < n; ++k) sum += values.at[k] * values.at[k];
  });
  sum = block_sum(sum);
  if (threadIdx.x == 0) partial[chunk] = sum;
}

__global__ void __launch_bounds__(block_threads)
    norm_kernel(int64_t chunks, const float* partial, float max_norm, float* norm, float* scale) {
  float sum = 0;
  for (int64_t i = threadIdx.x; i < chunks; i += blockDim.x) sum += partial[i];
  sum = block_sum(sum);
  if (threadIdx.x != 0) return;
  const float root = sqrtf(sum), wanted = max_norm / (root + 1e-6f);
  *norm = root;
  *scale = wanted > 1 ? 1 : wanted;  // a NaN stays, as in torch
}

}  // namespace

Prepared prepare_clip_grad_norm(Cuda& cuda, const Graph& graph, const Node& node) {
  const std::vector<int64_t> counts = expect_clip_grad_norm(graph, node);
  const double max_norm = node.attributes.number("max_norm");
  const int64_t chunks = expect_chunks(counts);
  return prepared(
      "cuda",
      [=, &cuda](const Arguments& a) {
        auto* partial = static_cast<float*>(a.workspace);
        const auto pointer = [&](int, size_t i) { return static_cast<float*>(a.inputs[i]); };
        for_segments<1>(counts, pointer, [&](const auto& table, unsigned count, int before) {
          using Table = std::decay_t<decltype(table)>;
          launch(squares_kernel<Table>, count, block_threads, 0, cuda.stream, table, partial + before);
        });
        launch(norm_kernel, 1, block_threads, 0, cuda.stream, chunks, partial, static_cast<float>(max_norm),
               output<float>(a, 0), output<float>(a, 1));
      },
      static_cast<size_t>(chunks) * sizeof(float));
}

}  // namespace node_cudnn::cuda
