// Kernels that compute one element from the same element of each input, whatever the format. An output may take an
// input's place: a thread reads all its elements before it writes the first.
#pragma once

#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"

namespace node_cudnn::cuda {

// Elements per thread: 16 bytes of the smallest type, at most 8 of them.
template <class... T>
constexpr int map_width = std::min(8, static_cast<int>(16 / std::min({sizeof(T)...})));

template <int N, class F, class Y, class... X>
__global__ void __launch_bounds__(block_threads) map_kernel(F f, int64_t count, Y* y, const X*... x) {
  const int64_t whole = count / N;
  for (int64_t i = thread_index(); i < whole; i += thread_count()) {
    Vector<Y, N> result;
    const auto apply = [&](const auto&... given) {
      for (int k = 0; k < N; ++k) result.at[k] = from_float<Y>(f(to_float(given.at[k])...));
    };
    apply(load<N>(x + i * N)...);
    store(y + i * N, result);
  }
  const int64_t rest = whole * N + thread_index();
  if (rest < count) y[rest] = from_float<Y>(f(to_float(x[rest])...));
}

// y[i] = f(x[i]...); f is a function object of floats with a __device__ operator().
template <class F, class Y, class... X>
void map(const Cuda& cuda, F f, int64_t count, Y* y, const X*... x) {
  constexpr int n = map_width<Y, X...>;
  launch(map_kernel<n, F, Y, X...>, blocks_for(cuda, (count + n - 1) / n), block_threads, 0, cuda.stream, f, count, y,
         x...);
}

}  // namespace node_cudnn::cuda
