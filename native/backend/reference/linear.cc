#include "backend/reference/ops.h"

namespace node_cudnn::reference {
namespace {

struct Sizes {
  int64_t batch, in, out;
};

Sizes make_sizes(const Op& op, const ValueType& x, const ValueType& w, const ValueType& y) {
  op.expect(x.shape.size() == 2, "x must be [N, I]; flatten it first");
  op.expect(w.shape.size() == 2, "weight must be [O, I]");
  const Sizes s{x.shape[0], x.shape[1], w.shape[0]};
  op.expect(w.shape[1] == s.in,
            "x has " + std::to_string(s.in) + " features, weight expects " + std::to_string(w.shape[1]));
  op.expect_type("y", y, x.dtype, Format::plain, {s.batch, s.out});
  return s;
}

}  // namespace

Prepared prepare_linear(const Op& op) {
  const bool biased = op.inputs() == 3;
  op.expect_counts(biased ? 3 : 2, 1);
  const DType dtype = op.input(0).dtype;
  const Sizes s = make_sizes(op, op.input(0), op.input(1), op.output(0));
  op.expect_type("weight", op.input(1), dtype, op.input(1).shape);
  if (biased) op.expect_type("bias", op.input(2), statistic(dtype), Format::plain, {s.out});
  return with_float(op, dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      const T *x = input<T>(a, 0), *w = input<T>(a, 1);
      for (int64_t n = 0; n < s.batch; ++n) {
        for (int64_t o = 0; o < s.out; ++o) {
          double sum = biased ? double{input<Statistic<T>>(a, 2)[o]} : 0;
          for (int64_t i = 0; i < s.in; ++i) sum += double{x[n * s.in + i]} * double{w[o * s.in + i]};
          output<T>(a, 0)[n * s.out + o] = static_cast<T>(sum);
        }
      }
    });
  });
}

Prepared prepare_linear_dgrad(const Op& op) {
  op.expect_counts(2, 1);
  const DType dtype = op.input(0).dtype;
  const Sizes s = make_sizes(op, op.output(0), op.input(1), op.input(0));
  op.expect_type("weight", op.input(1), dtype, op.input(1).shape);
  return with_float(op, dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      const T *dy = input<T>(a, 0), *w = input<T>(a, 1);
      for (int64_t n = 0; n < s.batch; ++n) {
        for (int64_t i = 0; i < s.in; ++i) {
          double sum = 0;
          for (int64_t o = 0; o < s.out; ++o) sum += double{dy[n * s.out + o]} * double{w[o * s.in + i]};
          output<T>(a, 0)[n * s.in + i] = static_cast<T>(sum);
        }
      }
    });
  });
}

Prepared prepare_linear_wgrad(const Op& op) {
  op.expect_counts(2, 1);
  const DType dtype = op.input(0).dtype;
  const Sizes s = make_sizes(op, op.input(0), op.output(0), op.input(1));
  op.expect_type("dw", op.output(0), statistic(dtype), op.output(0).shape);
  return with_float(op, dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      const T *x = input<T>(a, 0), *dy = input<T>(a, 1);
      for (int64_t o = 0; o < s.out; ++o) {
        for (int64_t i = 0; i < s.in; ++i) {
          double sum = 0;
          for (int64_t n = 0; n < s.batch; ++n) sum += double{dy[n * s.out + o]} * double{x[n * s.in + i]};
          output<Statistic<T>>(a, 0)[o * s.in + i] = static_cast<Statistic<T>>(sum);
        }
      }
    });
  });
}

}  // namespace node_cudnn::reference
