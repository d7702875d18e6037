#include <cstring>
#include <limits>

#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"
#include "program/bfloat16.h"

namespace node_cudnn::cpu {
namespace {

// Whether fewer than k classes stand before the label's: larger logits, or equal ones of lower index.
template <class T>
bool is_among_top(const T* logits, int64_t classes, int32_t label, int64_t k) {
  if (label < 0 || label >= classes) return false;
  const auto own = static_cast<float>(logits[label]);
  if (own != own) return false;
  int64_t before = 0;
  for (int64_t c = 0; c < classes; ++c) {
    const auto other = static_cast<float>(logits[c]);
    before += static_cast<int64_t>((other > own) | ((other == own) & (c < label)));
  }
  return before < k;
}

template <class T>
Prepared topk(int64_t batch, int64_t classes, int64_t k) {
  return prepared("loops", [=](const Arguments& a) {
    const T* logits = input<T>(a, 0);
    const auto* labels = input<int32_t>(a, 1);
    int32_t count = 0;
    for (int64_t n = 0; n < batch; ++n) count += is_among_top(logits + n * classes, classes, labels[n], k);
    *output<int32_t>(a, 0) = count;
  });
}

}  // namespace

Prepared prepare_topk_correct(const Cpu&, const Graph& graph, const Node& node) {
  const int64_t k = expect_topk_correct(graph, node);
  const ValueType& logits = input_type(graph, node, 0);
  const int64_t batch = logits.shape[0], classes = logits.shape[1];
  return logits.dtype == DType::bfloat16 ? topk<bfloat16>(batch, classes, k) : topk<float>(batch, classes, k);
}

Prepared prepare_ring_write(const Cpu&, const Graph& graph, const Node& node) {
  expect_ring_write(graph, node);
  const ValueType &value = input_type(graph, node, 0), &ring = output_type(graph, node, 0);
  return prepared("memcpy", [length = ring.shape[0], bytes = size_of(value.dtype)](const Arguments& a) {
    const int64_t slot = (*input<int32_t>(a, 1) % length + length) % length;
    std::memcpy(output<uint8_t>(a, 0) + static_cast<size_t>(slot) * bytes, a.inputs[0], bytes);
  });
}

Prepared prepare_increment(const Cpu&, const Graph& graph, const Node& node) {
  const uint32_t by = expect_increment(graph, node);
  return prepared("loops", [by](const Arguments& a) { *output<uint32_t>(a, 0) += by; });  // wraps, as counters do
}

}  // namespace node_cudnn::cpu
