#include <cmath>

#include "backend/reference/ops.h"
#include "backend/reference/window.h"

namespace node_cudnn::reference {
namespace {

struct Pooling {
  Dims4 x, y;
  Window window;
  bool count_padding = false;  // average pooling only
};

// The index of the first maximum; a NaN counts as the maximum, so that it is not lost.
template <class T, class I>
void max_pool2d(const Pooling& g, const T* x, T* y, I* index) {
  const auto& [height, width] = g.window;
  const auto pool = [&](int64_t n, int64_t c, int64_t i, int64_t j) {
    double best = -std::numeric_limits<double>::infinity();
    int64_t best_tap = -1;
    for (int64_t ki = 0; ki < height.kernel; ++ki) {
      for (int64_t kj = 0; kj < width.kernel; ++kj) {
        const int64_t row = height.position(i, ki), column = width.position(j, kj);
        if (!height.inside(row) || !width.inside(column)) continue;
        const auto value = double{x[g.x.at(n, c, row, column)]};
        if (best_tap >= 0 && !(value > best) && !(std::isnan(value) && !std::isnan(best))) continue;
        best = value;
        best_tap = ki * width.kernel + kj;
      }
    }
    y[g.y.at(n, c, i, j)] = static_cast<T>(best);
    index[g.y.at(n, c, i, j)] = static_cast<I>(best_tap < 0 ? 0 : best_tap);
  };
  for (int64_t n = 0; n < g.y.n; ++n)
    for (int64_t c = 0; c < g.y.c; ++c)
      for (int64_t i = 0; i < g.y.h; ++i)
        for (int64_t j = 0; j < g.y.w; ++j) pool(n, c, i, j);
}

// dx = the sum, over the windows that hold the pixel, of contribution(output offset, i, j, tap).
template <class T, class Contribution>
void pool_grad(const Pooling& g, T* dx, Contribution contribution) {
  const auto& [height, width] = g.window;
  const auto gradient = [&](int64_t n, int64_t c, int64_t row, int64_t column) {
    double sum = 0;
    for (int64_t ki = 0; ki < height.kernel; ++ki) {
      for (int64_t kj = 0; kj < width.kernel; ++kj) {
        const int64_t i = height.output_at(row, ki), j = width.output_at(column, kj);
        if (i >= 0 && j >= 0) sum += contribution(g.y.at(n, c, i, j), i, j, ki * width.kernel + kj);
      }
    }
    return sum;
  };
  for (int64_t n = 0; n < g.x.n; ++n)
    for (int64_t c = 0; c < g.x.c; ++c)
      for (int64_t h = 0; h < g.x.h; ++h)
        for (int64_t w = 0; w < g.x.w; ++w) dx[g.x.at(n, c, h, w)] = static_cast<T>(gradient(n, c, h, w));
}

int64_t taps(const Axis& axis, int64_t o, bool count_padding) {
  int64_t count = 0;
  for (int64_t k = 0; k < axis.kernel; ++k) {
    const int64_t position = axis.position(o, k);
    if (count_padding ? axis.inside_padded(position) : axis.inside(position)) ++count;
  }
  return count;
}

// 1 for a window without any tap, whose sum is 0.
double divisor(const Pooling& g, int64_t i, int64_t j) {
  const int64_t count = taps(g.window.h, i, g.count_padding) * taps(g.window.w, j, g.count_padding);
  return static_cast<double>(count ? count : 1);
}

template <class T>
void avg_pool2d(const Pooling& g, const T* x, T* y) {
  const auto& [height, width] = g.window;
  const auto sum_of = [&](int64_t n, int64_t c, int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t ki = 0; ki < height.kernel; ++ki) {
      for (int64_t kj = 0; kj < width.kernel; ++kj) {
        const int64_t row = height.position(i, ki), column = width.position(j, kj);
        if (height.inside(row) && width.inside(column)) sum += double{x[g.x.at(n, c, row, column)]};
      }
    }
    return sum;
  };
  for (int64_t n = 0; n < g.y.n; ++n)
    for (int64_t c = 0; c < g.y.c; ++c)
      for (int64_t i = 0; i < g.y.h; ++i)
        for (int64_t j = 0; j < g.y.w; ++j)
          y[g.y.at(n, c, i, j)] = static_cast<T>(sum_of(n, c, i, j) / divisor(g, i, j));
}

// The last window may run over the padded edge (ceil mode), but must start before the far padding.
void expect_output_size(const Op& op, const std::string& axis, const Axis& a) {
  op.expect(a.before < a.extent() && a.after < a.extent(),
            "padding of the " + axis + " must be smaller than the dilated kernel's " + std::to_string(a.extent()));
  const int64_t whole = a.slack() < 0 ? 0 : a.slack() / a.stride + 1;
  const int64_t last_start = (a.out - 1) * a.stride;
  op.expect(a.out == whole || (a.out == whole + 1 && last_start < a.slack() + a.stride && last_start < a.in + a.before),
            "output " + axis + " is " + std::to_string(a.out) + ", must be " + std::to_string(whole) +
                ", or one more where ceil mode allows it");
}

Pooling make_pooling(const Op& op, const ValueType& x, const ValueType& y) {
  const Dims4 in = op.activation("x", x), out = op.activation("y", y);
  op.expect(in.n == out.n && in.c == out.c, "batch size and channels of x and y must be equal");
  const auto kernel = op.integers("kernel", 2, 1);
  const Window window = make_window(op, in, out, kernel[0], kernel[1]);
  expect_output_size(op, "height", window.h);
  expect_output_size(op, "width", window.w);
  return {in, out, window};
}

// Calls f with a std::type_identity of the index's storage type.
template <class Function>
Prepared with_index(const Op& op, const Pooling& g, const ValueType& index, Function&& f) {
  const bool small = g.window.h.kernel <= 256 / g.window.w.kernel;
  op.expect_type("index", index, small ? DType::uint8 : DType::int32, Format::activation, {g.y.n, g.y.c, g.y.h, g.y.w});
  if (small) return f(std::type_identity<uint8_t>{});
  return f(std::type_identity<int32_t>{});
}

Pooling make_average(const Op& op, const ValueType& x, const ValueType& y) {
  op.expect_counts(1, 1);
  op.expect_type("y", y, x.dtype, y.shape);
  Pooling g = make_pooling(op, x, y);
  g.count_padding = op.flag("count_include_pad");
  return g;
}

Dims4 expect_global(const Op& op, const ValueType& x, const ValueType& y) {
  op.expect_counts(1, 1);
  const Dims4 dims = op.activation("x", x);
  op.expect_type("y", y, x.dtype, Format::plain, {dims.n, dims.c});
  return dims;
}

}  // namespace

Prepared prepare_max_pool2d(const Op& op) {
  op.expect_counts(1, 2);
  const Pooling g = make_pooling(op, op.input(0), op.output(0));
  op.expect_type("y", op.output(0), op.input(0).dtype, op.output(0).shape);
  return with_index(op, g, op.output(1), [&]<class I>(std::type_identity<I>) {
    return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
      return prepared(
          [=](const Arguments& a) { max_pool2d<T, I>(g, input<T>(a, 0), output<T>(a, 0), output<I>(a, 1)); });
    });
  });
}

Prepared prepare_max_pool2d_grad(const Op& op) {
  op.expect_counts(2, 1);
  const Pooling g = make_pooling(op, op.output(0), op.input(0));
  op.expect_type("dx", op.output(0), op.input(0).dtype, op.output(0).shape);
  return with_index(op, g, op.input(1), [&]<class I>(std::type_identity<I>) {
    return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
      return prepared([=](const Arguments& a) {
        const T* dy = input<T>(a, 0);
        const I* index = input<I>(a, 1);
        pool_grad(g, output<T>(a, 0), [&](int64_t offset, int64_t, int64_t, int64_t tap) {
          return int64_t{index[offset]} == tap ? double{dy[offset]} : 0;
        });
      });
    });
  });
}

Prepared prepare_avg_pool2d(const Op& op) {
  const Pooling g = make_average(op, op.input(0), op.output(0));
  return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) { avg_pool2d<T>(g, input<T>(a, 0), output<T>(a, 0)); });
  });
}

Prepared prepare_avg_pool2d_grad(const Op& op) {
  const Pooling g = make_average(op, op.output(0), op.input(0));
  return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      const T* dy = input<T>(a, 0);
      pool_grad(g, output<T>(a, 0),
                [&](int64_t offset, int64_t i, int64_t j, int64_t) { return double{dy[offset]} / divisor(g, i, j); });
    });
  });
}

Prepared prepare_global_avg_pool(const Op& op) {
  const Dims4 dims = expect_global(op, op.input(0), op.output(0));
  return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      const T* x = input<T>(a, 0);
      for (int64_t image = 0; image < dims.n * dims.c; ++image) {
        double sum = 0;
        for (int64_t i = 0; i < dims.plane(); ++i) sum += double{x[image * dims.plane() + i]};
        output<T>(a, 0)[image] = static_cast<T>(sum / static_cast<double>(dims.plane()));
      }
    });
  });
}

Prepared prepare_global_avg_pool_grad(const Op& op) {
  const Dims4 dims = expect_global(op, op.output(0), op.input(0));
  return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      T* dx = output<T>(a, 0);
      for (int64_t image = 0; image < dims.n * dims.c; ++image) {
        const double share = double{input<T>(a, 0)[image]} / static_cast<double>(dims.plane());
        for (int64_t i = 0; i < dims.plane(); ++i) dx[image * dims.plane() + i] = static_cast<T>(share);
      }
    });
  });
}

}  // namespace node_cudnn::reference
