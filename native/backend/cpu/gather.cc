#include <cstring>
#include <stdexcept>

#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"

namespace node_cudnn::cpu {
namespace {

void check_indices(const int32_t* index, int64_t count, int64_t rows) {
  for (int64_t i = 0; i < count; ++i)
    if (index[i] < 0 || index[i] >= rows)
      throw std::out_of_range("index " + std::to_string(index[i]) + " at position " + std::to_string(i) +
                              " lies outside the table of " + std::to_string(rows) + " rows; indices run from 0 to " +
                              std::to_string(rows - 1));
}

}  // namespace

Prepared prepare_gather(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_gather(graph, node);
  const ValueType &table = input_type(graph, node, 0), &index = input_type(graph, node, 1);
  const int64_t rows = table.shape[0], count = index.shape[0];
  const size_t row_bytes = static_cast<size_t>(elements(table.shape) / rows) * size_of(table.dtype);
  const int64_t grain = 65536 / static_cast<int64_t>(row_bytes + 1);
  return prepared("memcpy", [=, threads = cpu.threads](const Arguments& a) {
    const auto* from = input<uint8_t>(a, 0);
    const auto* indices = input<int32_t>(a, 1);
    auto* to = output<uint8_t>(a, 0);
    check_indices(indices, count, rows);
    parallel(threads, count, grain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        std::memcpy(to + static_cast<size_t>(i) * row_bytes, from + static_cast<size_t>(indices[i]) * row_bytes,
                    row_bytes);
    });
  });
}

}  // namespace node_cudnn::cpu
