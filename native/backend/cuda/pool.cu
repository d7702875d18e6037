#include <optional>

#include "backend/cuda/beside.h"
#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/ops.h"
#include "backend/cuda/pixels.h"
#include "backend/cuda/slices.h"

namespace node_cudnn::cuda {
namespace {

// One axis, in the 32 bits that a device divides fast. Output o and tap k meet at input o * stride - before + k *
// dilation.
struct PoolAxis {
  int in, out, kernel, stride, before, after, dilation;
  Divisor by_stride, by_dilation;

  __device__ int position(int o, int k) const { return o * stride - before + k * dilation; }
  __device__ bool inside(int position) const { return position >= 0 && position < in; }
  __device__ int first_output(int position) const {
    const int reach = position + before - (kernel - 1) * dilation;
    return reach <= 0 ? 0 : static_cast<int>(by_stride.quotient(static_cast<unsigned>(reach + stride - 1)));
  }
  // The tap at which output o meets a position that it reaches, or -1.
  __device__ int tap(int o, int position) const {
    const int distance = position + before - o * stride;
    const auto k = static_cast<int>(by_dilation.quotient(static_cast<unsigned>(distance)));
    return k * dilation == distance ? k : -1;
  }
  __device__ bool reaches(int o, int position) const { return o < out && o * stride - before <= position; }

  // How many taps of output o count in an average.
  __device__ int count(int o, bool padding) const {
    const int start = position(o, 0);
    return padding ? taps_before(in + after - start) : taps_before(in - start) - taps_before(-start);
  }
  // How many taps lie less than a distance behind the first.
  __device__ int taps_before(int distance) const {
    if (distance <= 0) return 0;
    const auto taps = static_cast<int>(by_dilation.quotient(static_cast<unsigned>(distance + dilation - 1)));
    return taps < kernel ? taps : kernel;
  }
};

struct Pool {
  int images, channels;
  PoolAxis h, w;
  bool count_padding;
  int64_t distance;  // between the pixels of y, or dy; those of all else lie without gaps

  __device__ int64_t x_at(int n, int i, int j) const { return ((int64_t{n} * h.in + i) * w.in + j) * channels; }
  __device__ int64_t pixel(int n, int i, int j) const { return (int64_t{n} * h.out + i) * w.out + j; }
  // Of a tap in the average; 1 for a window without any, whose sum is 0.
  __device__ float share(int i, int j) const {
    const int taps = h.count(i, count_padding) * w.count(j, count_padding);
    return 1.0f / static_cast<float>(taps == 0 ? 1 : taps);
  }
};

__device__ bool is_nan(float x) { return x != x; }

// The first maximum in the window; a NaN counts as the maximum, so that it is not lost.
template <int V, class T, class I>
__global__ void __launch_bounds__(block_threads) max_pool_kernel(Pool g, Pixels out, const T* x, T* y, I* index) {
  for_pixels<V>(out, [&](int n, int i, int j, int channel) {
    float best[V];
    int tap[V] = {};
    for (int k = 0; k < V; ++k) best[k] = -INFINITY;
    bool first = true;
    for (int ki = 0; ki < g.h.kernel; ++ki) {
      const int row = g.h.position(i, ki);
      if (!g.h.inside(row)) continue;
      for (int kj = 0; kj < g.w.kernel; ++kj) {
        const int column = g.w.position(j, kj);
        if (!g.w.inside(column)) continue;
        const auto values = load<V>(x + g.x_at(n, row, column) + channel);
        for (int k = 0; k < V; ++k) {
          const float value = to_float(values.at[k]);
          const bool better = first || (!(value <= best[k]) && !is_nan(best[k]));
          best[k] = better ? value : best[k];
          tap[k] = better ? ki * g.w.kernel + kj : tap[k];
        }
        first = false;
      }
    }
    Vector<T, V> result;
    Vector<I, V> taps;
    for (int k = 0; k < V; ++k) {
      result.at[k] = from_float<T>(best[k]);
      taps.at[k] = static_cast<I>(tap[k]);
    }
    store(y + g.pixel(n, i, j) * g.distance + channel, result);
    store(index + g.pixel(n, i, j) * g.channels + channel, taps);
  });
}

// What a window of a maximum, or of an average, hands back to one of its pixels.
template <class T, class I>
struct FromMaximum {
  const T* dy;
  const I* index;

  template <int V>
  __device__ void add(const Pool& g, int64_t pixel, int channel, int, int, int tap, float* sums) const {
    const auto gradient = load<V>(dy + pixel * g.distance + channel);
    const auto taps = load<V>(index + pixel * g.channels + channel);
    for (int k = 0; k < V; ++k) sums[k] += taps.at[k] == tap ? to_float(gradient.at[k]) : 0;
  }
};

template <class T>
struct FromAverage {
  const T* dy;

  template <int V>
  __device__ void add(const Pool& g, int64_t pixel, int channel, int i, int j, int, float* sums) const {
    const auto gradient = load<V>(dy + pixel * g.distance + channel);
    const float share = g.share(i, j);
    for (int k = 0; k < V; ++k) sums[k] += to_float(gradient.at[k]) * share;
  }
};

// Each pixel gathers from the windows that hold it, in order: no atomics, no zeroing.
template <int V, class T, class From>
__global__ void __launch_bounds__(block_threads) pool_grad_kernel(Pool g, Pixels in, From from, T* dx) {
  for_pixels<V>(in, [&](int n, int row, int column, int channel) {
    float sums[V] = {};
    for (int i = g.h.first_output(row); g.h.reaches(i, row); ++i) {
      const int ki = g.h.tap(i, row);
      if (ki < 0) continue;
      for (int j = g.w.first_output(column); g.w.reaches(j, column); ++j) {
        const int kj = g.w.tap(j, column);
        if (kj < 0) continue;
        from.template add<V>(g, g.pixel(n, i, j), channel, i, j, ki * g.w.kernel + kj, sums);
      }
    }
    Vector<T, V> result;
    for (int k = 0; k < V; ++k) result.at[k] = from_float<T>(sums[k]);
    store(dx + g.x_at(n, row, column) + channel, result);
  });
}

template <int V, class T>
__global__ void __launch_bounds__(block_threads) avg_pool_kernel(Pool g, Pixels out, const T* x, T* y) {
  for_pixels<V>(out, [&](int n, int i, int j, int channel) {
    const float share = g.share(i, j);
    float sums[V] = {};
    for (int ki = 0; ki < g.h.kernel; ++ki) {
      const int row = g.h.position(i, ki);
      if (!g.h.inside(row)) continue;
      for (int kj = 0; kj < g.w.kernel; ++kj) {
        const int column = g.w.position(j, kj);
        if (!g.w.inside(column)) continue;
        const auto values = load<V>(x + g.x_at(n, row, column) + channel);
        for (int k = 0; k < V; ++k) sums[k] += to_float(values.at[k]);
      }
    }
    Vector<T, V> result;
    for (int k = 0; k < V; ++k) result.at[k] = from_float<T>(sums[k] * share);
    store(y + g.pixel(n, i, j) * g.distance + channel, result);
  });
}

Pixels output_pixels(const Pool& g, int vector) { return make_pixels(g.images, g.h.out, g.w.out, g.channels, vector); }
Pixels input_pixels(const Pool& g, int vector) { return make_pixels(g.images, g.h.in, g.w.in, g.channels, vector); }

PoolAxis narrow(const char* role, const Axis& a) {
  // Also leaves room for the products that the kernels form.
  expect((a.out + 1) * a.stride + a.before + a.after + a.extent() + a.in < (int64_t{1} << 31),
         std::string(role) + " of the pooled image is too large");
  const auto to_int = [](int64_t x) { return static_cast<int>(x); };
  return {to_int(a.in),    to_int(a.out),      to_int(a.kernel),  to_int(a.stride),   to_int(a.before),
          to_int(a.after), to_int(a.dilation), Divisor(a.stride), Divisor(a.dilation)};
}

Pool make_pool(const Node& node, const ValueType& x, const ValueType& y) {
  const Window window = expect_pooling(node, x, y);
  const Dims in = expect_activation("x", x);
  return {static_cast<int>(in.n),
          static_cast<int>(in.c),
          narrow("height", window.h),
          narrow("width", window.w),
          false,
          in.c};
}

// `y` is y, or dy.
Pool apart(Pool g, const Graph& graph, int y) {
  g.distance += other_channels(graph, y);
  return g;
}

Pool make_average(const Node& node, const ValueType& x, const ValueType& y) {
  expect_counts(node, 1, 1);
  Pool g = make_pool(node, x, y);
  g.count_padding = node.attributes.flag("count_include_pad");
  return g;
}

// Calls f with the storage type of the activation and the width of its vectors.
template <class Function>
Prepared with_pixels(const ValueType& x, Function&& f) {
  return with_float(x.dtype, [&]<class T>(std::type_identity<T> type) {
    return with_vector<T>(x.shape[1], [&](auto vector) { return f(type, vector); });
  });
}

// How far beyond the picture the last window reaches: the padding, or in ceil mode more.
int64_t reach_after(const PoolAxis& a) {
  return std::max<int64_t>(a.after, int64_t{a.out - 1} * a.stride + a.kernel - a.in - a.before);
}

// The same as a problem of cuDNN's, which knows no dilation and counts no window's part beyond the padding.
std::optional<Pooling> pooling(const Pool& g, DType dtype, bool backward, bool maximum) {
  const int64_t bottom = reach_after(g.h), right = reach_after(g.w);
  const bool reaches_beyond = bottom > g.h.after || right > g.w.after;
  if (g.h.dilation != 1 || g.w.dilation != 1 || (g.count_padding && reaches_beyond)) return {};
  if (maximum && g.h.kernel > 256 / g.w.kernel) return {};
  return Pooling{.backward = backward,
                 .maximum = maximum,
                 .dtype = dtype,
                 .x = {g.images, g.channels, g.h.in, g.w.in},
                 .y = {g.images, g.channels, g.h.out, g.w.out},
                 .kernel = {g.h.kernel, g.w.kernel},
                 .stride = {g.h.stride, g.w.stride},
                 .padding = {g.h.before, g.w.before, bottom, right},
                 .count_padding = g.count_padding};
}

Prepared beside(Cuda& cuda, const Graph& graph, const Node& node, const std::optional<Pooling>& problem, Prepared own) {
  return problem ? cuda::beside(cuda, graph, node, *problem, std::move(own)) : std::move(own);
}

}  // namespace

Prepared prepare_max_pool2d(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 2);
  const ValueType &x = input_type(graph, node, 0), &y = output_type(graph, node, 0);
  const Pool g = apart(make_pool(node, x, y), graph, node.outputs[0]);
  Prepared own = with_index(g, output_type(graph, node, 1), y, [&]<class I>(std::type_identity<I>) {
    return with_pixels(x, [&]<class T, int V>(std::type_identity<T>, std::integral_constant<int, V>) {
      const Pixels pixels = output_pixels(g, V);
      return prepared("cuda", [=, &cuda](const Arguments& a) {
        launch(max_pool_kernel<V, T, I>, pixels.grid(), pixels.block(), 0, cuda.stream, g, pixels, input<T>(a, 0),
               output<T>(a, 0), output<I>(a, 1));
      });
    });
  });
  return beside(cuda, graph, node, pooling(g, x.dtype, false, true), std::move(own));
}

Prepared prepare_max_pool2d_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType &dy = input_type(graph, node, 0), &dx = output_type(graph, node, 0);
  const Pool g = apart(make_pool(node, dx, dy), graph, node.inputs[0]);
  Prepared own = with_index(g, input_type(graph, node, 1), dy, [&]<class I>(std::type_identity<I>) {
    return with_pixels(dx, [&]<class T, int V>(std::type_identity<T>, std::integral_constant<int, V>) {
      const Pixels pixels = input_pixels(g, V);
      return prepared("cuda", [=, &cuda](const Arguments& a) {
        launch(pool_grad_kernel<V, T, FromMaximum<T, I>>, pixels.grid(), pixels.block(), 0, cuda.stream, g, pixels,
               FromMaximum<T, I>{input<T>(a, 0), input<I>(a, 1)}, output<T>(a, 0));
      });
    });
  });
  return beside(cuda, graph, node, pooling(g, dx.dtype, true, true), std::move(own));
}

Prepared prepare_avg_pool2d(Cuda& cuda, const Graph& graph, const Node& node) {
  const ValueType &x = input_type(graph, node, 0), &y = output_type(graph, node, 0);
  const Pool g = apart(make_average(node, x, y), graph, node.outputs[0]);
  Prepared own = with_pixels(x, [&]<class T, int V>(std::type_identity<T>, std::integral_constant<int, V>) {
    const Pixels pixels = output_pixels(g, V);
    return prepared("cuda", [=, &cuda](const Arguments& a) {
      launch(avg_pool_kernel<V, T>, pixels.grid(), pixels.block(), 0, cuda.stream, g, pixels, input<T>(a, 0),
             output<T>(a, 0));
    });
  });
  return beside(cuda, graph, node, pooling(g, x.dtype, false, false), std::move(own));
}

Prepared prepare_avg_pool2d_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  const ValueType &dy = input_type(graph, node, 0), &dx = output_type(graph, node, 0);
  const Pool g = apart(make_average(node, dx, dy), graph, node.inputs[0]);
  Prepared own = with_pixels(dx, [&]<class T, int V>(std::type_identity<T>, std::integral_constant<int, V>) {
    const Pixels pixels = input_pixels(g, V);
    return prepared("cuda", [=, &cuda](const Arguments& a) {
      launch(pool_grad_kernel<V, T, FromAverage<T>>, pixels.grid(), pixels.block(), 0, cuda.stream, g, pixels,
             FromAverage<T>{input<T>(a, 0)}, output<T>(a, 0));
    });
  });
  return beside(cuda, graph, node, pooling(g, dx.dtype, true, false), std::move(own));
}

}  // namespace node_cudnn::cuda
