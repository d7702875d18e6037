#include "backend/reference/ops.h"
#include "backend/reference/window.h"

namespace node_cudnn::reference {
namespace {

struct Convolution {
  Dims4 x, w, y;
  Window window;
  int64_t groups;
  int64_t outputs_per_group() const { return y.c / groups; }
};

template <class T>
void conv2d(const Convolution& g, const T* x, const T* w, const Statistic<T>* bias, T* y) {
  const auto output = [&](int64_t n, int64_t o, int64_t i, int64_t j) {
    const int64_t first = o / g.outputs_per_group() * g.w.c;
    double sum = bias ? double{bias[o]} : 0.0;
    for (int64_t c = 0; c < g.w.c; ++c) {
      for (int64_t ki = 0; ki < g.w.h; ++ki) {
        const int64_t row = g.window.h.position(i, ki);
        if (!g.window.h.inside(row)) continue;
        for (int64_t kj = 0; kj < g.w.w; ++kj) {
          const int64_t column = g.window.w.position(j, kj);
          if (!g.window.w.inside(column)) continue;
          sum += double{x[g.x.at(n, first + c, row, column)]} * double{w[g.w.at(o, c, ki, kj)]};
        }
      }
    }
    return sum;
  };
  for (int64_t n = 0; n < g.y.n; ++n)
    for (int64_t o = 0; o < g.y.c; ++o)
      for (int64_t i = 0; i < g.y.h; ++i)
        for (int64_t j = 0; j < g.y.w; ++j) y[g.y.at(n, o, i, j)] = static_cast<T>(output(n, o, i, j));
}

template <class T>
void conv2d_dgrad(const Convolution& g, const T* dy, const T* w, T* dx) {
  const auto gradient = [&](int64_t n, int64_t channel, int64_t row, int64_t column) {
    const int64_t first = channel / g.w.c * g.outputs_per_group();
    const int64_t c = channel % g.w.c;
    double sum = 0;
    for (int64_t ki = 0; ki < g.w.h; ++ki) {
      const int64_t i = g.window.h.output_at(row, ki);
      if (i < 0) continue;
      for (int64_t kj = 0; kj < g.w.w; ++kj) {
        const int64_t j = g.window.w.output_at(column, kj);
        if (j < 0) continue;
        for (int64_t o = first; o < first + g.outputs_per_group(); ++o)
          sum += double{dy[g.y.at(n, o, i, j)]} * double{w[g.w.at(o, c, ki, kj)]};
      }
    }
    return sum;
  };
  for (int64_t n = 0; n < g.x.n; ++n)
    for (int64_t c = 0; c < g.x.c; ++c)
      for (int64_t h = 0; h < g.x.h; ++h)
        for (int64_t v = 0; v < g.x.w; ++v) dx[g.x.at(n, c, h, v)] = static_cast<T>(gradient(n, c, h, v));
}

template <class T>
void conv2d_wgrad(const Convolution& g, const T* x, const T* dy, Statistic<T>* dw) {
  const auto gradient = [&](int64_t o, int64_t c, int64_t ki, int64_t kj) {
    const int64_t channel = o / g.outputs_per_group() * g.w.c + c;
    double sum = 0;
    for (int64_t n = 0; n < g.y.n; ++n) {
      for (int64_t i = 0; i < g.y.h; ++i) {
        const int64_t row = g.window.h.position(i, ki);
        if (!g.window.h.inside(row)) continue;
        for (int64_t j = 0; j < g.y.w; ++j) {
          const int64_t column = g.window.w.position(j, kj);
          if (!g.window.w.inside(column)) continue;
          sum += double{x[g.x.at(n, channel, row, column)]} * double{dy[g.y.at(n, o, i, j)]};
        }
      }
    }
    return sum;
  };
  for (int64_t o = 0; o < g.w.n; ++o)
    for (int64_t c = 0; c < g.w.c; ++c)
      for (int64_t ki = 0; ki < g.w.h; ++ki)
        for (int64_t kj = 0; kj < g.w.w; ++kj)
          dw[g.w.at(o, c, ki, kj)] = static_cast<Statistic<T>>(gradient(o, c, ki, kj));
}

void expect_output_size(const Op& op, const std::string& axis, const Axis& a) {
  op.expect(a.slack() >= 0, "the dilated kernel has " + axis + " " + std::to_string(a.extent()) +
                                ", larger than the padded input's " + std::to_string(a.slack() + a.extent()));
  const int64_t expected = a.slack() / a.stride + 1;
  op.expect(a.out == expected,
            "output " + axis + " is " + std::to_string(a.out) + ", must be " + std::to_string(expected));
}

Convolution make_convolution(const Op& op, const ValueType& x, const ValueType& w, const ValueType& y) {
  const Dims4 in = op.activation("x", x);
  const Dims4 filter = op.dims4("weight", w, Format::filter);
  const Dims4 out = op.activation("y", y);
  const int64_t groups = op.integer("groups", 1);
  op.expect(in.n == out.n, "the batch sizes of x and y differ");
  op.expect(filter.n == out.c && filter.n % groups == 0, "y has " + std::to_string(out.c) + " channels, weight makes " +
                                                             std::to_string(filter.n) + " in " +
                                                             std::to_string(groups) + " groups");
  op.expect(in.c == filter.c * groups, "x has " + std::to_string(in.c) + " channels, weight expects " +
                                           std::to_string(filter.c * groups) + " (groups " + std::to_string(groups) +
                                           ")");
  const Window window = make_window(op, in, out, filter.h, filter.w);
  expect_output_size(op, "height", window.h);
  expect_output_size(op, "width", window.w);
  return {in, filter, out, window, groups};
}

void expect_dtype(const Op& op, const std::string& role, const ValueType& type, DType dtype) {
  op.expect_type(role, type, dtype, type.shape);
}

}  // namespace

Prepared prepare_conv2d(const Op& op) {
  const bool biased = op.inputs() == 3;
  op.expect_counts(biased ? 3 : 2, 1);
  const DType dtype = op.input(0).dtype;
  const Convolution g = make_convolution(op, op.input(0), op.input(1), op.output(0));
  expect_dtype(op, "weight", op.input(1), dtype);
  expect_dtype(op, "y", op.output(0), dtype);
  if (biased) op.expect_type("bias", op.input(2), statistic(dtype), Format::plain, {g.y.c});
  return with_float(op, dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      const auto* bias = biased ? input<Statistic<T>>(a, 2) : nullptr;
      conv2d<T>(g, input<T>(a, 0), input<T>(a, 1), bias, output<T>(a, 0));
    });
  });
}

Prepared prepare_conv2d_dgrad(const Op& op) {
  op.expect_counts(2, 1);
  const DType dtype = op.input(0).dtype;
  const Convolution g = make_convolution(op, op.output(0), op.input(1), op.input(0));
  expect_dtype(op, "weight", op.input(1), dtype);
  expect_dtype(op, "dx", op.output(0), dtype);
  return with_float(op, dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) { conv2d_dgrad<T>(g, input<T>(a, 0), input<T>(a, 1), output<T>(a, 0)); });
  });
}

Prepared prepare_conv2d_wgrad(const Op& op) {
  op.expect_counts(2, 1);
  const DType dtype = op.input(0).dtype;
  const Convolution g = make_convolution(op, op.input(0), op.output(0), op.input(1));
  expect_dtype(op, "dy", op.input(1), dtype);
  expect_dtype(op, "dw", op.output(0), statistic(dtype));
  return with_float(op, dtype, [&]<class T>(std::type_identity<T>) {
    return prepared(
        [=](const Arguments& a) { conv2d_wgrad<T>(g, input<T>(a, 0), input<T>(a, 1), output<Statistic<T>>(a, 0)); });
  });
}

}  // namespace node_cudnn::reference
