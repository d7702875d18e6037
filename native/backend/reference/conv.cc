#include <algorithm>

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

// The innermost loops run along a row. `row`, in the workspace, holds one row of sums.

template <class T>
void add_scaled(double* to, int64_t to_stride, const T* from, int64_t from_stride, int64_t count, double factor) {
  for (int64_t i = 0; i < count; ++i) to[i * to_stride] += double{from[i * from_stride]} * factor;
}

template <class T>
double dot(const T* a, int64_t a_stride, const T* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += double{a[i * a_stride]} * double{b[i]};
  return sum;
}

template <class To>
void store(const double* row, int64_t count, To* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<To>(row[i]);
}

// Sums over all outputs of a channel and over their squares.
struct Totals {
  double *sums, *squares;
};

// What a fused node does to its sums; a NaN stays.
template <class T>
struct Finish {
  const T* residual = nullptr;
  bool rectify = false;
  Totals totals = {};

  void operator()(double* row, int64_t channel, int64_t first, int64_t count) const {
    for (int64_t i = 0; i < count; ++i) {
      if (residual) row[i] += double{residual[first + i]};
      if (rectify && row[i] < 0) row[i] = 0;
      if (totals.sums == nullptr) continue;
      totals.sums[channel] += row[i];
      totals.squares[channel] += row[i] * row[i];
    }
  }
};

template <class T>
void conv2d(const Convolution& g, const T* x, const T* w, const Statistic<T>* bias, const Finish<T>& finish, T* y,
            double* row) {
  const auto& [height, width] = g.window;
  const auto sum_row = [&](int64_t n, int64_t o, int64_t i) {
    const int64_t channel = o / g.outputs_per_group() * g.w.c;
    std::fill_n(row, g.y.w, bias ? double{bias[o]} : 0);
    for (int64_t c = 0; c < g.w.c; ++c) {
      for (int64_t ki = 0; ki < g.w.h; ++ki) {
        if (!height.inside(height.position(i, ki))) continue;
        const T* from = x + g.x.at(n, channel + c, height.position(i, ki), 0);
        for (int64_t kj = 0; kj < g.w.w; ++kj) {
          const int64_t j = width.first(kj), count = width.last(kj) - j;
          add_scaled(row + j, 1, from + width.position(j, kj), width.stride, count, double{w[g.w.at(o, c, ki, kj)]});
        }
      }
    }
  };
  for (int64_t n = 0; n < g.y.n; ++n) {
    for (int64_t o = 0; o < g.y.c; ++o) {
      for (int64_t i = 0; i < g.y.h; ++i) {
        const int64_t first = g.y.at(n, o, i, 0);
        sum_row(n, o, i);
        finish(row, o, first, g.y.w);
        store(row, g.y.w, y + first);
      }
    }
  }
}

// What relu(bn(x)) lets through of a gradient, and the sums over it that the gradient of bn is made of.
template <class T, class S = Statistic<T>>
struct Mask {
  const T* x;
  const S *weight, *bias, *mean, *invstd;
  double *dweight, *dbias;

  void operator()(double* row, int64_t channel, int64_t first, int64_t count) const {
    for (int64_t i = 0; i < count; ++i) {
      const double normalised = (double{x[first + i]} - double{mean[channel]}) * double{invstd[channel]};
      if (!(normalised * double{weight[channel]} + double{bias[channel]} > 0)) row[i] = 0;
      dweight[channel] += row[i] * normalised;
      dbias[channel] += row[i];
    }
  }
};

template <class T, class Tail>
void conv2d_dgrad(const Convolution& g, const T* dy, const T* w, const Tail& finish, T* dx, double* row) {
  const auto& [height, width] = g.window;
  const auto sum_row = [&](int64_t n, int64_t channel, int64_t h) {
    const int64_t first = channel / g.w.c * g.outputs_per_group(), c = channel % g.w.c;
    std::fill_n(row, g.x.w, 0.0);
    for (int64_t o = first; o < first + g.outputs_per_group(); ++o) {
      for (int64_t ki = 0; ki < g.w.h; ++ki) {
        if (height.output_at(h, ki) < 0) continue;
        const T* from = dy + g.y.at(n, o, height.output_at(h, ki), 0);
        for (int64_t kj = 0; kj < g.w.w; ++kj) {
          const int64_t j = width.first(kj), count = width.last(kj) - j;
          add_scaled(row + width.position(j, kj), width.stride, from + j, 1, count, double{w[g.w.at(o, c, ki, kj)]});
        }
      }
    }
  };
  for (int64_t n = 0; n < g.x.n; ++n) {
    for (int64_t c = 0; c < g.x.c; ++c) {
      for (int64_t h = 0; h < g.x.h; ++h) {
        const int64_t first = g.x.at(n, c, h, 0);
        sum_row(n, c, h);
        finish(row, c, first, g.x.w);
        store(row, g.x.w, dx + first);
      }
    }
  }
}

template <class T>
void conv2d_wgrad(const Convolution& g, const T* x, const T* dy, Statistic<T>* dw, double* row) {
  const auto& [height, width] = g.window;
  const auto sum_row = [&](int64_t o, int64_t c, int64_t ki) {
    const int64_t channel = o / g.outputs_per_group() * g.w.c + c;
    std::fill_n(row, g.w.w, 0.0);
    for (int64_t n = 0; n < g.y.n; ++n) {
      for (int64_t i = 0; i < g.y.h; ++i) {
        if (!height.inside(height.position(i, ki))) continue;
        const T *from = x + g.x.at(n, channel, height.position(i, ki), 0), *by = dy + g.y.at(n, o, i, 0);
        for (int64_t kj = 0; kj < g.w.w; ++kj) {
          const int64_t j = width.first(kj), count = width.last(kj) - j;
          row[kj] += dot(from + width.position(j, kj), width.stride, by + j, count);
        }
      }
    }
  };
  for (int64_t o = 0; o < g.w.n; ++o) {
    for (int64_t c = 0; c < g.w.c; ++c) {
      for (int64_t ki = 0; ki < g.w.h; ++ki) {
        sum_row(o, c, ki);
        store(row, g.w.w, dw + g.w.at(o, c, ki, 0));
      }
    }
  }
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

Prepared with_row(int64_t size, Loops loops) {
  Prepared result = prepared(std::move(loops));
  result.workspace_bytes = static_cast<size_t>(size) * sizeof(double);
  return result;
}

double* row_of(const Arguments& a) { return static_cast<double*>(a.workspace); }

void expect_dtype(const Op& op, const std::string& role, const ValueType& type, DType dtype) {
  op.expect_type(role, type, dtype, type.shape);
}

// x, w, [bias], [residual]; the residual is the last input.
Prepared prepare_forward(const Op& op, bool adds, bool rectifies) {
  const size_t operands = op.inputs() - (adds ? 1 : 0);
  const bool biased = operands == 3;
  op.expect(biased || operands == 2, "has " + std::to_string(op.inputs()) + " inputs");
  op.expect_counts(op.inputs(), 1);
  const DType dtype = op.input(0).dtype;
  const Convolution g = make_convolution(op, op.input(0), op.input(1), op.output(0));
  expect_dtype(op, "weight", op.input(1), dtype);
  expect_dtype(op, "y", op.output(0), dtype);
  if (biased) op.expect_type("bias", op.input(2), statistic(dtype), Format::plain, {g.y.c});
  if (adds) op.expect_equal("residual", op.input(operands), op.output(0));
  return with_float(op, dtype, [&]<class T>(std::type_identity<T>) {
    return with_row(g.y.w, [=](const Arguments& a) {
      const auto* bias = biased ? input<Statistic<T>>(a, 2) : nullptr;
      const Finish<T> finish{adds ? input<T>(a, operands) : nullptr, rectifies, {}};
      conv2d<T>(g, input<T>(a, 0), input<T>(a, 1), bias, finish, output<T>(a, 0), row_of(a));
    });
  });
}

template <class S>
void store_totals(const Totals& totals, int64_t channels, const Arguments& a) {
  store(totals.sums, channels, output<S>(a, 1));
  store(totals.squares, channels, output<S>(a, 2));
}

// What stands for x: itself, relu(scale · x + shift), or relu(scale · x + shift + residual).
enum class Prologue : uint8_t { none, scale, scale_add };

size_t operands_of(Prologue prologue) { return prologue == Prologue::none ? 1 : prologue == Prologue::scale ? 3 : 4; }

// What stands for x goes into y.
template <class T>
const T* scale_input(const Convolution& g, const Arguments& a, Prologue prologue, T* y) {
  const T* residual = prologue == Prologue::scale_add ? input<T>(a, 3) : nullptr;
  for (int64_t n = 0; n < g.x.n; ++n) {
    for (int64_t c = 0; c < g.x.c; ++c) {
      const double scale = double{input<T>(a, 1)[c]}, shift = double{input<T>(a, 2)[c]};
      const int64_t first = g.x.at(n, c, 0, 0);
      for (int64_t i = first; i < first + g.x.plane(); ++i) {
        const double value =
            double{input<T>(a, 0)[i]} * scale + shift + (residual == nullptr ? 0 : double{residual[i]});
        y[i] = static_cast<T>(value < 0 ? 0 : value);  // a NaN stays
      }
    }
  }
  return y;
}

// In doubles, of any type.
int64_t input_size(const Convolution& g) { return g.x.n * g.x.c * g.x.plane(); }

void expect_prologue(const Op& op, const Convolution& g, Prologue prologue) {
  if (prologue == Prologue::none) return;
  op.expect_type("scale", op.input(1), op.input(0).dtype, Format::plain, {g.x.c});
  op.expect_type("shift", op.input(2), op.input(0).dtype, Format::plain, {g.x.c});
  if (prologue == Prologue::scale_add) op.expect_equal("residual", op.input(3), op.input(0));
}

// x, [scale, shift], [residual], w; the sums of y behind it, and what stood for x where that has a residual.
Prepared prepare_summed(const Op& op, Prologue prologue) {
  const size_t filter = operands_of(prologue);
  const bool adds = prologue == Prologue::scale_add;
  op.expect_counts(filter + 1, adds ? 4 : 3);
  const DType dtype = op.input(0).dtype;
  const Convolution g = make_convolution(op, op.input(0), op.input(filter), op.output(0));
  expect_prologue(op, g, prologue);
  if (adds) op.expect_equal("z", op.output(3), op.input(0));
  expect_dtype(op, "weight", op.input(filter), dtype);
  expect_dtype(op, "y", op.output(0), dtype);
  op.expect_type("sum", op.output(1), statistic(dtype), Format::plain, {g.y.c});
  op.expect_type("square_sum", op.output(2), statistic(dtype), Format::plain, {g.y.c});
  const int64_t rows = g.y.w + 2 * g.y.c;
  return with_float(op, dtype, [&]<class T>(std::type_identity<T>) {
    return with_row(rows + (prologue == Prologue::scale ? input_size(g) : 0), [=](const Arguments& a) {
      double* row = row_of(a);
      const Totals totals{row + g.y.w, row + g.y.w + g.y.c};
      std::fill_n(totals.sums, 2 * g.y.c, 0.0);
      T* made = adds ? output<T>(a, 3) : reinterpret_cast<T*>(row + rows);
      const T* x = prologue == Prologue::none ? input<T>(a, 0) : scale_input(g, a, prologue, made);
      conv2d<T>(g, x, input<T>(a, filter), nullptr, {nullptr, false, totals}, output<T>(a, 0), row);
      store_totals<Statistic<T>>(totals, g.y.c, a);
    });
  });
}

// x, [scale, shift], dy.
Prepared prepare_wgrad(const Op& op, bool scaled) {
  const size_t incoming = scaled ? 3 : 1;
  op.expect_counts(incoming + 1, 1);
  const DType dtype = op.input(0).dtype;
  const Convolution g = make_convolution(op, op.input(0), op.output(0), op.input(incoming));
  expect_prologue(op, g, scaled ? Prologue::scale : Prologue::none);
  expect_dtype(op, "dy", op.input(incoming), dtype);
  expect_dtype(op, "dw", op.output(0), statistic(dtype));
  return with_float(op, dtype, [&]<class T>(std::type_identity<T>) {
    return with_row(g.w.w + (scaled ? input_size(g) : 0), [=](const Arguments& a) {
      double* row = row_of(a);
      T* made = reinterpret_cast<T*>(row + g.w.w);
      const T* x = scaled ? scale_input(g, a, Prologue::scale, made) : input<T>(a, 0);
      conv2d_wgrad<T>(g, x, input<T>(a, incoming), output<Statistic<T>>(a, 0), row);
    });
  });
}

}  // namespace

Prepared prepare_conv2d(const Op& op) { return prepare_forward(op, false, false); }
Prepared prepare_conv2d_relu(const Op& op) { return prepare_forward(op, false, true); }
Prepared prepare_conv2d_add_relu(const Op& op) { return prepare_forward(op, true, true); }

Prepared prepare_conv2d_statistics(const Op& op) { return prepare_summed(op, Prologue::none); }
Prepared prepare_scaled_conv2d_statistics(const Op& op) { return prepare_summed(op, Prologue::scale); }
Prepared prepare_scaled_add_conv2d_statistics(const Op& op) { return prepare_summed(op, Prologue::scale_add); }

Prepared prepare_conv2d_dgrad(const Op& op) {
  op.expect_counts(2, 1);
  const DType dtype = op.input(0).dtype;
  const Convolution g = make_convolution(op, op.output(0), op.input(1), op.input(0));
  expect_dtype(op, "weight", op.input(1), dtype);
  expect_dtype(op, "dx", op.output(0), dtype);
  return with_float(op, dtype, [&]<class T>(std::type_identity<T>) {
    return with_row(g.x.w, [=](const Arguments& a) {
      conv2d_dgrad(g, input<T>(a, 0), input<T>(a, 1), Finish<T>{}, output<T>(a, 0), row_of(a));
    });
  });
}

Prepared prepare_conv2d_dgrad_statistics(const Op& op) {
  op.expect_counts(7, 3);
  const DType dtype = op.input(0).dtype;
  const Convolution g = make_convolution(op, op.output(0), op.input(1), op.input(0));
  expect_dtype(op, "weight of the convolution", op.input(1), dtype);
  op.expect_equal("x", op.input(2), op.output(0));
  expect_dtype(op, "dx", op.output(0), dtype);
  const char* const roles[] = {"weight", "bias", "mean", "invstd"};
  for (size_t i = 0; i < 4; ++i) op.expect_type(roles[i], op.input(3 + i), statistic(dtype), Format::plain, {g.x.c});
  op.expect_type("dweight", op.output(1), statistic(dtype), Format::plain, {g.x.c});
  op.expect_type("dbias", op.output(2), statistic(dtype), Format::plain, {g.x.c});
  return with_float(op, dtype, [&]<class T>(std::type_identity<T>) {
    return with_row(g.x.w + 2 * g.x.c, [=](const Arguments& a) {
      using S = Statistic<T>;
      double *row = row_of(a), *dweight = row + g.x.w, *dbias = dweight + g.x.c;
      std::fill_n(dweight, 2 * g.x.c, 0.0);
      const Mask<T> mask{input<T>(a, 2), input<S>(a, 3), input<S>(a, 4), input<S>(a, 5),
                         input<S>(a, 6), dweight,        dbias};
      conv2d_dgrad(g, input<T>(a, 0), input<T>(a, 1), mask, output<T>(a, 0), row);
      store(dweight, g.x.c, output<S>(a, 1));
      store(dbias, g.x.c, output<S>(a, 2));
    });
  });
}

Prepared prepare_conv2d_wgrad(const Op& op) { return prepare_wgrad(op, false); }
Prepared prepare_scaled_conv2d_wgrad(const Op& op) { return prepare_wgrad(op, true); }

}  // namespace node_cudnn::reference
