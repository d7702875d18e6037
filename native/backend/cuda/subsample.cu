#include "backend/cuda/ops.h"
#include "backend/cuda/pixels.h"

namespace node_cudnn::cuda {
namespace {

struct Subsampling {
  Dims x, y;
  int64_t stride_h, stride_w;
  Divisor by_stride_h, by_stride_w;
};

template <int V, class T>
__global__ void __launch_bounds__(block_threads) subsample_pad_kernel(Subsampling g, Pixels out, const T* x, T* y) {
  for_pixels<V>(out, [&](int n, int i, int j, int channel) {
    Vector<T, V> values;
    for (int k = 0; k < V; ++k) values.at[k] = from_float<T>(0);
    if (channel < g.x.c)
      values = load<V>(x + ((n * g.x.h + i * g.stride_h) * g.x.w + j * g.stride_w) * g.x.c + channel);
    store(y + ((n * g.y.h + i) * g.y.w + j) * g.y.c + channel, values);
  });
}

template <int V, class T>
__global__ void __launch_bounds__(block_threads)
    subsample_pad_grad_kernel(Subsampling g, Pixels in, const T* dy, T* dx) {
  for_pixels<V>(in, [&](int n, int i, int j, int channel) {
    Vector<T, V> values;
    for (int k = 0; k < V; ++k) values.at[k] = from_float<T>(0);
    const auto row = g.by_stride_h.quotient(static_cast<unsigned>(i)),
               column = g.by_stride_w.quotient(static_cast<unsigned>(j));
    if (row * g.stride_h == i && column * g.stride_w == j)
      values = load<V>(dy + ((n * g.y.h + row) * g.y.w + column) * g.y.c + channel);
    store(dx + ((n * g.x.h + i) * g.x.w + j) * g.x.c + channel, values);
  });
}

Subsampling make_subsampling(const Node& node, const ValueType& x, const ValueType& y) {
  const std::vector<int64_t> stride = expect_subsample(node, x, y);
  expect(std::max(stride[0], stride[1]) < int64_t{1} << 31, "the stride is too large");
  return {expect_activation("x", x), expect_activation("y", y), stride[0], stride[1],
          Divisor(stride[0]),        Divisor(stride[1])};
}

// Calls f with the storage type and a width of vectors that divides the channels of both images.
template <class Function>
Prepared with_channels(const Subsampling& g, const ValueType& x, Function&& f) {
  return with_float(x.dtype, [&]<class T>(std::type_identity<T> type) {
    const bool whole = g.x.c % full_vector<T> == 0;
    return with_vector<T>(whole ? g.y.c : 1, [&](auto vector) { return f(type, vector); });
  });
}

}  // namespace

Prepared prepare_subsample_pad(Cuda& cuda, const Graph& graph, const Node& node) {
  const ValueType& x = input_type(graph, node, 0);
  const Subsampling g = make_subsampling(node, x, output_type(graph, node, 0));
  return with_channels(g, x, [&]<class T, int V>(std::type_identity<T>, std::integral_constant<int, V>) {
    const Pixels pixels = make_pixels(g.y.n, g.y.h, g.y.w, g.y.c, V);
    return prepared("cuda", [=, &cuda](const Arguments& a) {
      launch(subsample_pad_kernel<V, T>, pixels.grid(), pixels.block(), 0, cuda.stream, g, pixels, input<T>(a, 0),
             output<T>(a, 0));
    });
  });
}

Prepared prepare_subsample_pad_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  const ValueType& dx = output_type(graph, node, 0);
  const Subsampling g = make_subsampling(node, dx, input_type(graph, node, 0));
  return with_channels(g, dx, [&]<class T, int V>(std::type_identity<T>, std::integral_constant<int, V>) {
    const Pixels pixels = make_pixels(g.x.n, g.x.h, g.x.w, g.x.c, V);
    return prepared("cuda", [=, &cuda](const Arguments& a) {
      launch(subsample_pad_grad_kernel<V, T>, pixels.grid(), pixels.block(), 0, cuda.stream, g, pixels, input<T>(a, 0),
             output<T>(a, 0));
    });
  });
}

}  // namespace node_cudnn::cuda
