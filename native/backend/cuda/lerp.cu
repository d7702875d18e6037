#include "backend/cuda/elementwise.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

struct Lerp {
  __device__ float operator()(float x, float h, float t) const { return x + t * (h - x); }
};

// An output may take an input's place: a thread reads all its elements before it writes the first.
template <int N, class T>
__global__ void __launch_bounds__(block_threads)
    lerp_grad_kernel(int64_t count, const T* dy, const T* x, const T* h, const T* t, T* dx, T* dh, T* dt) {
  for_vectors<N>(count, [&](int64_t i, auto width) {
    constexpr int n = decltype(width)::value;
    const auto gradient = load<n>(dy + i), from = load<n>(x + i), to = load<n>(h + i), share = load<n>(t + i);
    Vector<T, n> from_gradient, to_gradient, share_gradient;
    for (int k = 0; k < n; ++k) {
      const float g = to_float(gradient.at[k]), s = to_float(share.at[k]);
      from_gradient.at[k] = from_float<T>(g * (1 - s));
      to_gradient.at[k] = from_float<T>(g * s);
      share_gradient.at[k] = from_float<T>(g * (to_float(to.at[k]) - to_float(from.at[k])));
    }
    store(dx + i, from_gradient);
    store(dh + i, to_gradient);
    store(dt + i, share_gradient);
  });
}

}  // namespace

Prepared prepare_lerp(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_map<3>(cuda, graph, node, Lerp{});
}

Prepared prepare_lerp_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  const ValueType& type = expect_equal_types(graph, node, 4, 3);
  return with_float(type.dtype, [&]<class T>(std::type_identity<T>) {
    constexpr int n = map_width<T>;
    const auto run = [&cuda, count = elements(type.shape)](const Arguments& a) {
      launch(lerp_grad_kernel<n, T>, blocks_for(cuda, (count + n - 1) / n), block_threads, 0, cuda.stream, count,
             input<T>(a, 0), input<T>(a, 1), input<T>(a, 2), input<T>(a, 3), output<T>(a, 0), output<T>(a, 1),
             output<T>(a, 2));
    };
    return prepared("cuda", run, 0, {{0, 0}, {1, 2}, {2, 3}});
  });
}

}  // namespace node_cudnn::cuda
