#include "backend/reference/ops.h"

namespace node_cudnn::reference {

Prepared prepare_relu(const Op& op) {
  op.expect_counts(1, 1);
  op.expect_equal("y", op.output(0), op.input(0));
  const int64_t count = elements(op.input(0).shape);
  return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared(
        [=](const Arguments& a) {
          const T* x = input<T>(a, 0);
          for (int64_t i = 0; i < count; ++i) output<T>(a, 0)[i] = double{x[i]} < 0 ? T(0) : x[i];  // a NaN stays
        },
        {{0, 0}});
  });
}

Prepared prepare_relu_grad(const Op& op) {
  op.expect_counts(2, 1);
  op.expect_equal("y", op.input(1), op.input(0));
  op.expect_equal("dx", op.output(0), op.input(0));
  const int64_t count = elements(op.input(0).shape);
  return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared(
        [=](const Arguments& a) {
          const T *dy = input<T>(a, 0), *y = input<T>(a, 1);
          for (int64_t i = 0; i < count; ++i) output<T>(a, 0)[i] = double{y[i]} > 0 ? dy[i] : T(0);
        },
        {{0, 0}, {0, 1}});
  });
}

}  // namespace node_cudnn::reference
