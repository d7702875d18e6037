#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

// Copies rows word by word. The first index out of range is left in `fault`; its row becomes that of index 0.
template <class Word>
__global__ void __launch_bounds__(block_threads)
    gather_kernel(int64_t count, int64_t rows, int64_t words, const Word* table, const int32_t* index, Word* y,
                  Fault* fault, int site) {
  for (int64_t i = thread_index(); i < count * words; i += thread_count()) {
    const int64_t b = i / words, word = i % words;
    int64_t row = index[b];
    if (row < 0 || row >= rows) {
      if (word == 0) complain(fault, site, b, row);
      row = 0;
    }
    y[i] = table[row * words + word];
  }
}

// Calls f with a std::type_identity of the largest word that divides a row.
template <class Function>
Prepared with_word(size_t row_bytes, Function&& f) {
  if (row_bytes % 16 == 0) return f(std::type_identity<uint4>{});
  if (row_bytes % 4 == 0) return f(std::type_identity<uint32_t>{});
  return f(std::type_identity<uint8_t>{});
}

}  // namespace

Prepared prepare_gather(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_gather(graph, node);
  const ValueType &table = input_type(graph, node, 0), &index = input_type(graph, node, 1);
  const int64_t rows = table.shape[0], count = index.shape[0];
  const size_t row_bytes = static_cast<size_t>(elements(table.shape) / rows) * size_of(table.dtype);
  const std::string name = node.path.empty() ? node.op : node.op + " " + node.path;
  const int site = cuda.add_fault([=](const Fault& fault) {
    return name + ": index[" + std::to_string(fault.position) + "] is " + std::to_string(fault.value) +
           ", must lie in 0 .. " + std::to_string(rows - 1);
  });
  return with_word(row_bytes, [&]<class Word>(std::type_identity<Word>) {
    const auto words = static_cast<int64_t>(row_bytes / sizeof(Word));
    return prepared("cuda", [=, &cuda](const Arguments& a) {
      launch(gather_kernel<Word>, blocks_for(cuda, count * words), block_threads, 0, cuda.stream, count, rows, words,
             input<Word>(a, 0), input<int32_t>(a, 1), output<Word>(a, 0), cuda.fault, site);
    });
  });
}

}  // namespace node_cudnn::cuda
