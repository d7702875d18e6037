#include <algorithm>
#include <cmath>

#include "backend/reference/ops.h"

namespace node_cudnn::reference {
namespace {

struct Sizes {
  int64_t rows, classes;
};

Sizes make_sizes(const Op& op, const ValueType& x, const ValueType& y) {
  op.expect(x.shape.size() == 2, "x must be [N, K]");
  op.expect_type("x", x, x.dtype, Format::plain, x.shape);
  op.expect_type("y", y, statistic(x.dtype), Format::plain, x.shape);
  return {x.shape[0], x.shape[1]};
}

template <class T>
void softmax_row(int64_t classes, const T* x, Statistic<T>* y) {
  double largest = double{x[0]}, sum = 0;
  for (int64_t k = 1; k < classes; ++k) largest = std::max(largest, double{x[k]});
  for (int64_t k = 0; k < classes; ++k) sum += std::exp(double{x[k]} - largest);
  for (int64_t k = 0; k < classes; ++k) y[k] = static_cast<Statistic<T>>(std::exp(double{x[k]} - largest) / sum);
}

template <class T>
void gradient_row(int64_t classes, const Statistic<T>* dy, const Statistic<T>* y, T* dx) {
  double mean = 0;
  for (int64_t k = 0; k < classes; ++k) mean += double{dy[k]} * double{y[k]};
  for (int64_t k = 0; k < classes; ++k) dx[k] = static_cast<T>(double{y[k]} * (double{dy[k]} - mean));
}

}  // namespace

Prepared prepare_softmax(const Op& op) {
  op.expect_counts(1, 1);
  const Sizes s = make_sizes(op, op.input(0), op.output(0));
  return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      for (int64_t n = 0; n < s.rows; ++n)
        softmax_row<T>(s.classes, input<T>(a, 0) + n * s.classes, output<Statistic<T>>(a, 0) + n * s.classes);
    });
  });
}

Prepared prepare_softmax_grad(const Op& op) {
  op.expect_counts(2, 1);
  const Sizes s = make_sizes(op, op.output(0), op.input(1));
  op.expect_equal("dy", op.input(0), op.input(1));
  return with_float(op, op.output(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      using S = Statistic<T>;
      for (int64_t n = 0; n < s.rows; ++n)
        gradient_row<T>(s.classes, input<S>(a, 0) + n * s.classes, input<S>(a, 1) + n * s.classes,
                        output<T>(a, 0) + n * s.classes);
    });
  });
}

}  // namespace node_cudnn::reference
