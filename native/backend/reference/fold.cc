#include <cmath>

#include "backend/reference/ops.h"

namespace node_cudnn::reference {
namespace {

template <class T>
void fold(int64_t outputs, int64_t window, double epsilon, const Arguments& a) {
  using S = Statistic<T>;
  const auto of = [&](size_t i, int64_t o) { return double{input<S>(a, i)[o]}; };  // weight, bias, mean, variance
  for (int64_t o = 0; o < outputs; ++o) {
    const double scale = of(1, o) / std::sqrt(of(4, o) + epsilon);
    for (int64_t i = o * window; i < (o + 1) * window; ++i)
      output<T>(a, 0)[i] = static_cast<T>(double{input<S>(a, 0)[i]} * scale);
    output<S>(a, 1)[o] = static_cast<S>(of(2, o) - of(3, o) * scale);
  }
}

}  // namespace

Prepared prepare_fold_batch_norm(const Op& op) {
  constexpr const char* roles[] = {"weight", "bias", "running_mean", "running_var"};
  op.expect_counts(5, 2);
  const ValueType &w = op.input(0), &y = op.output(0);
  const Dims4 dims = op.dims4("w", w, Format::filter);
  const DType full = statistic(y.dtype);
  const double epsilon = op.number("epsilon", 0, std::numeric_limits<double>::max());
  op.expect_type("w", w, full, w.shape);
  op.expect_equal("y", y, {y.dtype, Format::filter, w.shape});
  for (size_t i = 0; i < 4; ++i) op.expect_type(roles[i], op.input(i + 1), full, Format::plain, {dims.n});
  op.expect_type("shift", op.output(1), full, Format::plain, {dims.n});
  return with_float(op, y.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) { fold<T>(dims.n, dims.c * dims.plane(), epsilon, a); });
  });
}

}  // namespace node_cudnn::reference
