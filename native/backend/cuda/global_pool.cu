#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

// A block takes the pixels of one image (y) for as many channels as it has columns of threads.
template <int V, class T>
__global__ void __launch_bounds__(block_threads) global_avg_pool_kernel(int plane, int64_t channels, const T* x, T* y) {
  NODE_CUDNN_SHARED(float, shared, block_threads* V);
  const int64_t channel = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * V;
  float sums[V] = {};
  if (channel < channels) {
    for (int pixel = static_cast<int>(threadIdx.y); pixel < plane; pixel += static_cast<int>(blockDim.y)) {
      const auto values = load<V>(x + (int64_t{blockIdx.y} * plane + pixel) * channels + channel);
      for (int k = 0; k < V; ++k) sums[k] += to_float(values.at[k]);
    }
  }
  const auto slot = [&](unsigned row, int k) -> float& { return shared[(row * V + k) * blockDim.x + threadIdx.x]; };
  for (int k = 0; k < V; ++k) slot(threadIdx.y, k) = sums[k];
  __syncthreads();
  if (threadIdx.y != 0 || channel >= channels) return;
  for (unsigned row = 1; row < blockDim.y; ++row)
    for (int k = 0; k < V; ++k) sums[k] += slot(row, k);
  Vector<T, V> result;
  for (int k = 0; k < V; ++k) result.at[k] = from_float<T>(sums[k] / static_cast<float>(plane));
  store(y + blockIdx.y * channels + channel, result);
}

template <int V, class T>
__global__ void __launch_bounds__(block_threads)
    global_avg_pool_grad_kernel(int plane, int64_t channels, const T* dy, T* dx) {
  const int64_t channel = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * V;
  if (channel >= channels) return;
  auto share = load<V>(dy + blockIdx.y * channels + channel);
  for (int k = 0; k < V; ++k) share.at[k] = from_float<T>(to_float(share.at[k]) / static_cast<float>(plane));
  for (int pixel = static_cast<int>(threadIdx.y); pixel < plane; pixel += static_cast<int>(blockDim.y))
    store(dx + (int64_t{blockIdx.y} * plane + pixel) * channels + channel, share);
}

constexpr int columns = warp_size, rows = block_threads / warp_size;

// Images stand along the grid's y, so batches beyond its limit go in several launches.
template <class Launch>
void for_images(int64_t images, int64_t channels, int vector, const Launch& one) {
  constexpr int64_t most = 65535;
  const auto groups = static_cast<unsigned>((channels / vector + columns - 1) / columns);
  for (int64_t first = 0; first < images; first += most)
    one(first, dim3(groups, static_cast<unsigned>(std::min(most, images - first))));
}

Dims expect_global(const Graph& graph, const Node& node, bool gradient) {
  const ValueType &in = input_type(graph, node, 0), &out = output_type(graph, node, 0);
  const ValueType &x = gradient ? out : in, &y = gradient ? in : out;
  const Dims dims = expect_global_pooling(node, x, y);
  expect(dims.plane() < (int64_t{1} << 31), "an image is too large");
  return dims;
}

// Calls f with the storage type and the width of vectors.
template <class Function>
Prepared with_channels(const ValueType& x, int64_t channels, Function&& f) {
  return with_float(x.dtype, [&]<class T>(std::type_identity<T> type) {
    return with_vector<T>(channels, [&](auto vector) { return f(type, vector); });
  });
}

}  // namespace

Prepared prepare_global_avg_pool(Cuda& cuda, const Graph& graph, const Node& node) {
  const Dims d = expect_global(graph, node, false);
  return with_channels(input_type(graph, node, 0), d.c,
                       [&]<class T, int V>(std::type_identity<T>, std::integral_constant<int, V>) {
                         return prepared("cuda", [=, &cuda](const Arguments& a) {
                           for_images(d.n, d.c, V, [&](int64_t first, dim3 grid) {
                             launch(global_avg_pool_kernel<V, T>, grid, dim3(columns, rows), 0, cuda.stream, d.plane(),
                                    d.c, input<T>(a, 0) + first * d.plane() * d.c, output<T>(a, 0) + first * d.c);
                           });
                         });
                       });
}

Prepared prepare_global_avg_pool_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  const Dims d = expect_global(graph, node, true);
  return with_channels(
      input_type(graph, node, 0), d.c, [&]<class T, int V>(std::type_identity<T>, std::integral_constant<int, V>) {
        return prepared("cuda", [=, &cuda](const Arguments& a) {
          for_images(d.n, d.c, V, [&](int64_t first, dim3 grid) {
            launch(global_avg_pool_grad_kernel<V, T>, grid, dim3(columns, rows), 0, cuda.stream, d.plane(), d.c,
                   input<T>(a, 0) + first * d.c, output<T>(a, 0) + first * d.plane() * d.c);
          });
        });
      });
}

}  // namespace node_cudnn::cuda
