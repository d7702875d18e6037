#include "backend/reference/element.h"
#include "backend/reference/ops.h"

namespace node_cudnn::reference {

Prepared prepare_lerp(const Op& op) {
  return map_elements(op, 3, [](const double* v) {
    const double x = v[0], h = v[1], t = v[2];
    return x + t * (h - x);
  });
}

Prepared prepare_lerp_grad(const Op& op) {
  op.expect_counts(4, 3);
  const ValueType& type = op.input(0);
  for (size_t i = 1; i < 4; ++i) op.expect_equal("input " + std::to_string(i), op.input(i), type);
  for (size_t i = 0; i < 3; ++i) op.expect_equal("output " + std::to_string(i), op.output(i), type);
  const int64_t count = elements(type.shape);
  return with_float(op, type.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared(
        [=](const Arguments& a) {
          T *dx = output<T>(a, 0), *dh = output<T>(a, 1), *dt = output<T>(a, 2);
          for (int64_t i = 0; i < count; ++i) {
            const auto at = [&](size_t k) { return double{input<T>(a, k)[i]}; };
            const double dy = at(0), x = at(1), h = at(2), t = at(3);
            dx[i] = static_cast<T>(dy * (1 - t));
            dh[i] = static_cast<T>(dy * t);
            dt[i] = static_cast<T>(dy * (h - x));
          }
        },
        {{0, 0}, {1, 2}, {2, 3}});
  });
}

}  // namespace node_cudnn::reference
