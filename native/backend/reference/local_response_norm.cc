#include <algorithm>
#include <cmath>

#include "backend/reference/ops.h"

namespace node_cudnn::reference {
namespace {

struct Normalisation {
  Dims4 x;
  int64_t size;
  double alpha, beta, k;

  // Sums f(channel) over the window around channel c; windows are centred, so j lies in that of c where c lies in that
  // of j.
  template <class Function>
  double sum(int64_t c, Function f) const {
    double total = 0;
    for (int64_t j = std::max<int64_t>(0, c - size / 2); j <= std::min(x.c - 1, c + size / 2); ++j) total += f(j);
    return total;
  }
};

// One pixel of one image; `at` gives its channels.
template <class T>
struct Pixel {
  const Normalisation& g;
  const T* x;
  double at(int64_t c) const { return double{x[c * g.x.plane()]}; }
  double energy(int64_t c) const {
    const double squares = g.sum(c, [&](int64_t j) { return at(j) * at(j); });
    return g.k + g.alpha / static_cast<double>(g.size) * squares;
  }
};

template <class T>
void forward(const Normalisation& g, const T* x, T* y) {
  const Pixel<T> pixel{g, x};
  for (int64_t c = 0; c < g.x.c; ++c)
    y[c * g.x.plane()] = static_cast<T>(pixel.at(c) * std::pow(pixel.energy(c), -g.beta));
}

template <class T>
void backward(const Normalisation& g, const T* dy, const T* x, T* dx) {
  const Pixel<T> pixel{g, x}, gradient{g, dy};
  const double factor = 2 * g.alpha * g.beta / static_cast<double>(g.size);
  for (int64_t c = 0; c < g.x.c; ++c) {
    const double others =
        g.sum(c, [&](int64_t j) { return gradient.at(j) * pixel.at(j) * std::pow(pixel.energy(j), -g.beta - 1); });
    const double own = gradient.at(c) * std::pow(pixel.energy(c), -g.beta);
    dx[c * g.x.plane()] = static_cast<T>(own - factor * pixel.at(c) * others);
  }
}

Normalisation make_normalisation(const Op& op) {
  constexpr double any = std::numeric_limits<double>::max();
  const Normalisation g{op.activation("x", op.input(0)), op.integer("size", 1), op.number("alpha", 0, any),
                        op.number("beta", 0, any), op.number("k", 0, any)};
  op.expect(g.size % 2 == 1, "size must be odd");
  op.expect(g.k > 0, "k must be above 0");
  return g;
}

// Calls f with the offset of every pixel's first channel.
template <class Function>
void for_each_pixel(const Dims4& d, Function f) {
  for (int64_t n = 0; n < d.n; ++n)
    for (int64_t i = 0; i < d.plane(); ++i) f(d.at(n, 0, 0, 0) + i);
}

}  // namespace

Prepared prepare_local_response_norm(const Op& op) {
  op.expect_counts(1, 1);
  const Normalisation g = make_normalisation(op);
  op.expect_equal("y", op.output(0), op.input(0));
  return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      for_each_pixel(g.x, [&](int64_t i) { forward(g, input<T>(a, 0) + i, output<T>(a, 0) + i); });
    });
  });
}

Prepared prepare_local_response_norm_grad(const Op& op) {
  op.expect_counts(2, 1);
  const Normalisation g = make_normalisation(op);
  op.expect_equal("x", op.input(1), op.input(0));
  op.expect_equal("dx", op.output(0), op.input(0));
  return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      for_each_pixel(g.x, [&](int64_t i) { backward(g, input<T>(a, 0) + i, input<T>(a, 1) + i, output<T>(a, 0) + i); });
    });
  });
}

}  // namespace node_cudnn::reference
