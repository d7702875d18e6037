#include <algorithm>

#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"
#include "program/bfloat16.h"

namespace node_cudnn::cpu {
namespace {

template <class T>
Prepared fill(int threads, int64_t count, T value) {
  return prepared("fill", [=](const Arguments& a) {
    T* y = output<T>(a, 0);
    parallel_elements(threads, count, [=](int64_t begin, int64_t end) { std::fill(y + begin, y + end, value); });
  });
}

}  // namespace

Prepared prepare_fill(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 0, 1);
  const ValueType& y = output_type(graph, node, 0);
  expect_float("y", y);
  const auto value = static_cast<float>(node.attributes.number("value"));
  const int64_t count = elements(y.shape);
  return y.dtype == DType::bfloat16 ? fill(cpu.threads, count, bfloat16(value)) : fill(cpu.threads, count, value);
}

}  // namespace node_cudnn::cpu
