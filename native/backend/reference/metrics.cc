#include <cstring>

#include "backend/reference/ops.h"

namespace node_cudnn::reference {
namespace {

// Whether fewer than k classes stand before the label's: larger logits, or equal ones of lower index.
template <class T>
bool is_among_top(const T* logits, int64_t classes, int64_t label, int64_t k) {
  if (label < 0 || label >= classes) return false;
  const auto own = double{logits[label]};
  int64_t rank = 0;
  for (int64_t c = 0; c < classes; ++c)
    if (double{logits[c]} > own || (double{logits[c]} == own && c < label)) ++rank;
  return own == own && rank < k;
}

}  // namespace

Prepared prepare_topk_correct(const Op& op) {
  op.expect_counts(2, 1);
  const ValueType& logits = op.input(0);
  op.expect(logits.shape.size() == 2, "logits must be [N, K]");
  const int64_t batch = logits.shape[0], classes = logits.shape[1], k = op.integer("k", 1);
  op.expect_type("labels", op.input(1), DType::int32, Format::plain, {batch});
  op.expect_type("count", op.output(0), DType::int32, Format::plain, {1});
  return with_float(op, logits.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      int32_t count = 0;
      for (int64_t n = 0; n < batch; ++n)
        count += is_among_top<T>(input<T>(a, 0) + n * classes, classes, input<int32_t>(a, 1)[n], k);
      *output<int32_t>(a, 0) = count;
    });
  });
}

Prepared prepare_ring_write(const Op& op) {
  op.expect_counts(2, 1);
  const ValueType &value = op.input(0), &ring = op.output(0);
  op.expect_type("value", value, value.dtype, {1});
  op.expect_type("step", op.input(1), DType::int32, {1});
  op.expect(ring.shape.size() == 1, "ring must have one axis");
  op.expect_type("ring", ring, value.dtype, ring.shape);
  const int64_t length = ring.shape[0];
  const size_t bytes = size_of(value.dtype);
  return prepared([=](const Arguments& a) {
    const int64_t step = *input<int32_t>(a, 1);
    const int64_t slot = (step % length + length) % length;
    std::memcpy(output<char>(a, 0) + static_cast<size_t>(slot) * bytes, a.inputs[0], bytes);
  });
}

Prepared prepare_increment(const Op& op) {
  op.expect_counts(0, 1);
  op.expect_type("counter", op.output(0), DType::int32, {1});
  const auto by = static_cast<uint32_t>(op.integer("by", std::numeric_limits<int32_t>::min()));
  return prepared([=](const Arguments& a) { *output<uint32_t>(a, 0) += by; });  // wraps, as counters do
}

}  // namespace node_cudnn::reference
