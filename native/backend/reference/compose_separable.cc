#include "backend/reference/ops.h"

namespace node_cudnn::reference {
namespace {

struct Separable {
  int64_t outputs, inputs, between, window;  // window: kh * kw
  int64_t input_of(int64_t d) const { return d / (between / inputs); }
  int64_t at(int64_t o, int64_t d) const { return (o * inputs + input_of(d)) * window; }  // of w, without the window
};

Separable make_separable(const Op& op, const ValueType& w, const ValueType& depthwise, const ValueType& pointwise) {
  const Dims4 dense = op.dims4("w", w, Format::filter), deep = op.dims4("depthwise", depthwise, Format::filter);
  op.expect(deep.n % dense.c == 0, "depthwise must have a multiple of the " + std::to_string(dense.c) + " channels");
  op.expect_type("depthwise", depthwise, w.dtype, Format::filter, {deep.n, 1, dense.h, dense.w});
  op.expect_type("pointwise", pointwise, w.dtype, Format::filter, {dense.n, deep.n, 1, 1});
  return {dense.n, dense.c, deep.n, dense.plane()};
}

}  // namespace

Prepared prepare_compose_separable(const Op& op) {
  op.expect_counts(2, 1);
  const Separable s = make_separable(op, op.output(0), op.input(0), op.input(1));
  return with_statistic(op, op.output(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      const T *depthwise = input<T>(a, 0), *pointwise = input<T>(a, 1);
      T* w = output<T>(a, 0);
      const int64_t multiplier = s.between / s.inputs;
      for (int64_t o = 0; o < s.outputs; ++o)
        for (int64_t c = 0; c < s.inputs; ++c)
          for (int64_t k = 0; k < s.window; ++k) {
            double sum = 0;
            for (int64_t d = c * multiplier; d < (c + 1) * multiplier; ++d)
              sum += double{pointwise[o * s.between + d]} * depthwise[d * s.window + k];
            w[s.at(o, c * multiplier) + k] = static_cast<T>(sum);
          }
    });
  });
}

Prepared prepare_compose_separable_grad(const Op& op) {
  op.expect_counts(3, 2);
  const Separable s = make_separable(op, op.input(0), op.input(1), op.input(2));
  op.expect_equal("ddepthwise", op.output(0), op.input(1));
  op.expect_equal("dpointwise", op.output(1), op.input(2));
  return with_statistic(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      const T *dw = input<T>(a, 0), *depthwise = input<T>(a, 1), *pointwise = input<T>(a, 2);
      T *ddepthwise = output<T>(a, 0), *dpointwise = output<T>(a, 1);
      for (int64_t d = 0; d < s.between; ++d) {
        for (int64_t k = 0; k < s.window; ++k) {
          double sum = 0;
          for (int64_t o = 0; o < s.outputs; ++o) sum += double{pointwise[o * s.between + d]} * dw[s.at(o, d) + k];
          ddepthwise[d * s.window + k] = static_cast<T>(sum);
        }
        for (int64_t o = 0; o < s.outputs; ++o) {
          double sum = 0;
          for (int64_t k = 0; k < s.window; ++k) sum += double{depthwise[d * s.window + k]} * dw[s.at(o, d) + k];
          dpointwise[o * s.between + d] = static_cast<T>(sum);
        }
      }
    });
  });
}

}  // namespace node_cudnn::reference
