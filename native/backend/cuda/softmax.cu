#include "backend/cuda/ops.h"
#include "backend/cuda/rows.h"

namespace node_cudnn::cuda {
namespace {

template <int V, class T>
__global__ void __launch_bounds__(block_threads) softmax_kernel(int64_t rows, int64_t classes, const T* x, float* y) {
  const int64_t row = warp_row();
  if (row >= rows) return;  // a whole warp
  x += row * classes, y += row * classes;
  float largest = -INFINITY, sum = 0;
  for_columns<V>(classes, [&](int64_t k) {
    const auto values = load<V>(x + k);
    for (int i = 0; i < V; ++i) largest = fmaxf(largest, to_float(values.at[i]));
  });
  largest = warp_max(largest);
  for_columns<V>(classes, [&](int64_t k) {
    const auto values = load<V>(x + k);
    for (int i = 0; i < V; ++i) sum += expf(to_float(values.at[i]) - largest);
  });
  sum = warp_sum(sum);
  for_columns<V>(classes, [&](int64_t k) {
    const auto values = load<V>(x + k);
    Vector<float, V> shares;
    for (int i = 0; i < V; ++i) shares.at[i] = expf(to_float(values.at[i]) - largest) / sum;
    store(y + k, shares);
  });
}

template <int V, class T>
__global__ void __launch_bounds__(block_threads)
    softmax_grad_kernel(int64_t rows, int64_t classes, const float* dy, const float* y, T* dx) {
  const int64_t row = warp_row();
  if (row >= rows) return;  // a whole warp
  dy += row * classes, y += row * classes, dx += row * classes;
  float sum = 0;
  for_columns<V>(classes, [&](int64_t k) {
    const auto gradient = load<V>(dy + k), shares = load<V>(y + k);
    for (int i = 0; i < V; ++i) sum += gradient.at[i] * shares.at[i];
  });
  sum = warp_sum(sum);
  for_columns<V>(classes, [&](int64_t k) {
    const auto gradient = load<V>(dy + k), shares = load<V>(y + k);
    Vector<T, V> result;
    for (int i = 0; i < V; ++i) result.at[i] = from_float<T>(shares.at[i] * (gradient.at[i] - sum));
    store(dx + k, result);
  });
}

struct Sizes {
  int64_t rows, classes;
};

Sizes make_sizes(const ValueType& x, const ValueType& y) {
  expect_softmax(x, y);
  return {x.shape[0], x.shape[1]};
}

}  // namespace

Prepared prepare_softmax(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 1);
  const ValueType& x = input_type(graph, node, 0);
  const Sizes s = make_sizes(x, output_type(graph, node, 0));
  return with_float(x.dtype, [&]<class T>(std::type_identity<T>) {
    return with_vector<T>(s.classes, [&]<int V>(std::integral_constant<int, V>) {
      return prepared("cuda", [s, &cuda](const Arguments& a) {
        launch_rows(cuda, s.rows, softmax_kernel<V, T>, s.rows, s.classes, input<T>(a, 0), output<float>(a, 0));
      });
    });
  });
}

Prepared prepare_softmax_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType& dx = output_type(graph, node, 0);
  const Sizes s = make_sizes(dx, input_type(graph, node, 1));
  expect_type("dy", input_type(graph, node, 0), input_type(graph, node, 1));
  return with_float(dx.dtype, [&]<class T>(std::type_identity<T>) {
    return with_vector<T>(s.classes, [&]<int V>(std::integral_constant<int, V>) {
      return prepared("cuda", [s, &cuda](const Arguments& a) {
        launch_rows(cuda, s.rows, softmax_grad_kernel<V, T>, s.rows, s.classes, input<float>(a, 0), input<float>(a, 1),
                    output<T>(a, 0));
      });
    });
  });
}

}  // namespace node_cudnn::cuda
