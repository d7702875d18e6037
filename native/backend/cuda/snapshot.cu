#include "backend/cuda/ops.h"
#include "backend/cuda/segments.h"

namespace node_cudnn::cuda {
namespace {

constexpr int source = 0, target = 1;

// Numbers of any type of four bytes. `keep`: null, or nothing is copied where it is not 0.
template <class Table>
__global__ void __launch_bounds__(block_threads) copy_kernel(const int32_t* keep, Table table) {
  if (keep && *keep != 0) return;
  const int chunk = static_cast<int>(blockIdx.x), value = table.find(chunk);
  const auto* from = reinterpret_cast<const uint32_t*>(table.values[source][value]);
  auto* to = reinterpret_cast<uint32_t*>(table.values[target][value]);
  for_chunk(table.counts[value], chunk - table.first_chunk[value], [&](int64_t i, auto width) {
    constexpr int n = decltype(width)::value;
    store(to + i, load<n>(from + i));
  });
}

// Copies each input from `first` on to its output; unless input 0 says keep, where `first` is 1.
Prepared prepare_copies(Cuda& cuda, const Graph& graph, const Node& node, size_t first) {
  std::vector<int64_t> counts;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueType& own = output_type(graph, node, i);
    expect(size_of(own.dtype) == 4, "only variables of float32 and int32 are copied here");
    expect_type("copy", input_type(graph, node, first + i), own);
    counts.push_back(elements(own.shape));
  }
  expect_chunks(counts);
  return prepared("cuda", [=, &cuda](const Arguments& a) {
    const auto pointer = [&](int k, size_t i) -> float* {
      return k == source ? static_cast<float*>(a.inputs[first + i]) : output<float>(a, i);
    };
    const int32_t* keep = first == 1 ? input<int32_t>(a, 0) : nullptr;
    for_segments<2>(counts, pointer, [&](const auto& table, unsigned chunks, int) {
      using Table = std::decay_t<decltype(table)>;
      launch(copy_kernel<Table>, chunks, block_threads, 0, cuda.stream, keep, table);
    });
  });
}

}  // namespace

Prepared prepare_snapshot(Cuda& cuda, const Graph& graph, const Node& node) {
  expect(!node.inputs.empty(), "needs at least one variable");
  expect_counts(node, node.inputs.size(), node.inputs.size());
  return prepare_copies(cuda, graph, node, 0);
}

Prepared prepare_restore(Cuda& cuda, const Graph& graph, const Node& node) {
  expect(node.inputs.size() >= 2, "needs a flag and at least one copy");
  expect_counts(node, node.inputs.size(), node.inputs.size() - 1);
  expect_type("keep", input_type(graph, node, 0), plain(DType::int32, {1}));
  return prepare_copies(cuda, graph, node, 1);
}

}  // namespace node_cudnn::cuda
