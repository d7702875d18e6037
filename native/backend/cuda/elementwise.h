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

// A node all of whose values have one type, computed element by element.
template <int inputs, class F>
Prepared prepare_map(Cuda& cuda, const Graph& graph, const Node& node, F f) {
  static_assert(inputs == 1 || inputs == 2);
  expect_counts(node, inputs, 1);
  const ValueType& x = input_type(graph, node, 0);
  expect_float("input", x);
  if (inputs == 2) expect_type("the other input", input_type(graph, node, 1), x);
  expect_type("output", output_type(graph, node, 0), x);
  const int64_t count = elements(x.shape);
  InPlace in_place{{0, 0}};
  if (inputs == 2) in_place.emplace_back(0, 1);
  return with_float(x.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared(
        "cuda",
        [&cuda, f, count](const Arguments& a) {
          if constexpr (inputs == 1)
            map(cuda, f, count, output<T>(a, 0), input<T>(a, 0));
          else
            map(cuda, f, count, output<T>(a, 0), input<T>(a, 0), input<T>(a, 1));
        },
        0, in_place);
  });
}

}  // namespace node_cudnn::cuda
