#include "backend/reference/ops.h"

namespace node_cudnn::reference {

Prepared prepare_add(const Op& op) {
  op.expect_counts(2, 1);
  op.expect_equal("b", op.input(1), op.input(0));
  op.expect_equal("y", op.output(0), op.input(0));
  const int64_t count = elements(op.input(0).shape);
  return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared(
        [=](const Arguments& a) {
          const T *left = input<T>(a, 0), *right = input<T>(a, 1);
          T* y = output<T>(a, 0);
          for (int64_t i = 0; i < count; ++i) y[i] = static_cast<T>(double{left[i]} + double{right[i]});
        },
        {{0, 0}, {0, 1}});
  });
}

}  // namespace node_cudnn::reference
