#include <cmath>

#include "backend/reference/ops.h"
#include "program/philox.h"

namespace node_cudnn::reference {

Prepared prepare_dropout(const Op& op) {
  op.expect_counts(3, 1);
  op.expect_type("seed", op.input(1), DType::int32, {1});
  op.expect_type("step", op.input(2), DType::int32, {1});
  op.expect_equal("y", op.output(0), op.input(0));
  const double p = op.number("p", 0, 1);
  op.expect(p < 1, "p must be below 1");
  const auto stream = static_cast<uint32_t>(op.integer("stream", 0));
  const int64_t count = elements(op.input(0).shape);
  return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared(
        [=](const Arguments& a) {
          const PhiloxKey key = {static_cast<uint32_t>(*input<int32_t>(a, 1)), 1};
          const auto step = static_cast<uint32_t>(*input<int32_t>(a, 2));
          const auto drop_below = static_cast<uint32_t>(std::ldexp(p, 32));
          for (int64_t i = 0; i < count; ++i) {
            const PhiloxCounter r = philox4x32({step, stream, static_cast<uint32_t>(i / 4), 0}, key);
            const bool kept = r[static_cast<size_t>(i % 4)] >= drop_below;
            output<T>(a, 0)[i] = static_cast<T>(kept ? double{input<T>(a, 0)[i]} / (1 - p) : 0);
          }
        },
        {{0, 0}});
  });
}

}  // namespace node_cudnn::reference
