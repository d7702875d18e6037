#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

struct Subsampling {
  Dims x, y;
  int64_t stride_h, stride_w;
};

// Where a vector of channels lies: the offset counts vectors.
struct Place {
  int64_t n, i, j, channel;
  __device__ Place(const Dims& d, int64_t vectors, int64_t index)
      : n(index / vectors / d.w / d.h),
        i(index / vectors / d.w % d.h),
        j(index / vectors % d.w),
        channel(index % vectors) {}
};

template <int V, class T>
__global__ void __launch_bounds__(block_threads) subsample_pad_kernel(Subsampling g, int64_t count, const T* x, T* y) {
  for (int64_t index = thread_index(); index < count; index += thread_count()) {
    const Place at(g.y, g.y.c / V, index);
    Vector<T, V> values;
    for (int k = 0; k < V; ++k) values.at[k] = from_float<T>(0);
    if (at.channel * V < g.x.c)
      values = load<V>(x + ((at.n * g.x.h + at.i * g.stride_h) * g.x.w + at.j * g.stride_w) * g.x.c + at.channel * V);
    store(y + index * V, values);
  }
}

template <int V, class T>
__global__ void __launch_bounds__(block_threads)
    subsample_pad_grad_kernel(Subsampling g, int64_t count, const T* dy, T* dx) {
  for (int64_t index = thread_index(); index < count; index += thread_count()) {
    const Place at(g.x, g.x.c / V, index);
    Vector<T, V> values;
    for (int k = 0; k < V; ++k) values.at[k] = from_float<T>(0);
    if (at.i % g.stride_h == 0 && at.j % g.stride_w == 0)
      values = load<V>(dy + ((at.n * g.y.h + at.i / g.stride_h) * g.y.w + at.j / g.stride_w) * g.y.c + at.channel * V);
    store(dx + index * V, values);
  }
}

Subsampling make_subsampling(const Node& node, const ValueType& x, const ValueType& y) {
  expect_counts(node, 1, 1);
  const Dims in = expect_activation("x", x), out = expect_activation("y", y);
  const auto stride = node.attributes.integers("stride");
  expect(stride.size() == 2 && stride[0] > 0 && stride[1] > 0, "attribute stride must be two positive numbers");
  expect(out.c >= in.c, "y must have at least the channels of x");
  expect_type("y", y,
              {x.dtype,
               Format::activation,
               {in.n, out.c, (in.h + stride[0] - 1) / stride[0], (in.w + stride[1] - 1) / stride[1]}});
  return {in, out, stride[0], stride[1]};
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
    return prepared("cuda", [=, &cuda](const Arguments& a) {
      launch(subsample_pad_kernel<V, T>, blocks_for(cuda, g.y.size() / V), block_threads, 0, cuda.stream, g,
             g.y.size() / V, input<T>(a, 0), output<T>(a, 0));
    });
  });
}

Prepared prepare_subsample_pad_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  const ValueType& dx = output_type(graph, node, 0);
  const Subsampling g = make_subsampling(node, dx, input_type(graph, node, 0));
  return with_channels(g, dx, [&]<class T, int V>(std::type_identity<T>, std::integral_constant<int, V>) {
    return prepared("cuda", [=, &cuda](const Arguments& a) {
      launch(subsample_pad_grad_kernel<V, T>, blocks_for(cuda, g.x.size() / V), block_threads, 0, cuda.stream, g,
             g.x.size() / V, input<T>(a, 0), output<T>(a, 0));
    });
  });
}

}  // namespace node_cudnn::cuda
