// Kernels that compute one element from the same element of each input, whatever the format. An output may take an
// input's place: a thread reads all its elements before it writes the first.
#pragma once

#include "backend/cuda/columns.h"
#include "backend/cuda/slices.h"

namespace node_cudnn::cuda {

// Elements per thread: 16 bytes of the largest type, so that no warp leaves gaps between its loads.
template <class... T>
constexpr int map_width = static_cast<int>(16 / std::max({sizeof(T)...}));

// Calls body(i, n) for n = N neighbours from element i on, and 1 where they end, for all that falls to this thread.
template <int N, class Body>
__device__ void for_vectors(int64_t count, const Body& body) {
  const int64_t whole = count / N;
  for (int64_t i = thread_index(); i < whole; i += thread_count()) body(i * N, std::integral_constant<int, N>{});
  const int64_t rest = whole * N + thread_index();
  if (rest < count) body(rest, std::integral_constant<int, 1>{});
}

template <int N, class F, class Y, class... X>
__global__ void __launch_bounds__(block_threads) map_kernel(F f, int64_t count, Y* y, const X*... x) {
  for_vectors<N>(count, [&](int64_t i, auto width) {
    constexpr int n = decltype(width)::value;
    Vector<Y, n> result;
    const auto apply = [&](const auto&... given) {
      for (int k = 0; k < n; ++k) result.at[k] = from_float<Y>(f(to_float(given.at[k])...));
    };
    apply(load<n>(x + i)...);
    store(y + i, result);
  });
}

// y[i] = f(x[i]...); f is a function object of floats with a __device__ operator().
template <class F, class Y, class... X>
void map(const Cuda& cuda, F f, int64_t count, Y* y, const X*... x) {
  constexpr int n = map_width<Y, X...>;
  launch(map_kernel<n, F, Y, X...>, blocks_for(cuda, (count + n - 1) / n), block_threads, 0, cuda.stream, f, count, y,
         x...);
}

// The same where pixels lie apart: of y, and of every input.
template <class F, class T, size_t inputs>
struct MapPixels {
  F f;
  T* y;
  const T* x[inputs];
  int64_t y_gap, x_gaps[inputs];

  template <int V>
  __device__ auto column(int64_t) const {
    return [*this](Place at) {
      const auto apply = [&]<size_t... i>(std::index_sequence<i...>) {
        const auto combine = [&](const auto&... given) {
          Vector<T, V> result;
          for (int k = 0; k < V; ++k) result.at[k] = from_float<T>(f(to_float(given.at[k])...));
          return result;
        };
        store(y + at.within(y_gap), combine(load<V>(x[i] + at.within(x_gaps[i]))...));
      };
      apply(std::make_index_sequence<inputs>{});
    };
  }
};

template <size_t inputs, class F>
Prepared prepare_map_pixels(Cuda& cuda, const Graph& graph, const Node& node, F f) {
  const ValueType& x = input_type(graph, node, 0);
  const Dims dims = expect_activation("input", x);
  return with_float(x.dtype, [&]<class T>(std::type_identity<T>) {
    return with_vector<T>(dims.c, [&]<int V>(std::integral_constant<int, V>) {
      MapPixels<F, T, inputs> pixels{f, nullptr, {}, other_channels(graph, node.outputs[0]), {}};
      for (size_t i = 0; i < inputs; ++i) pixels.x_gaps[i] = other_channels(graph, node.inputs[i]);
      const auto run = [&cuda, pixels, columns = make_columns(cuda, dims.pixels(), dims.c, V)](const Arguments& a) {
        auto given = pixels;
        given.y = output<T>(a, 0);
        for (size_t i = 0; i < inputs; ++i) given.x[i] = input<T>(a, i);
        map_columns<V>(cuda, columns, given);
      };
      return prepared("cuda", run);
    });
  });
}

// A node all of whose values have one type, computed element by element.
template <size_t inputs, class F>
Prepared prepare_map(Cuda& cuda, const Graph& graph, const Node& node, F f) {
  const ValueType& x = expect_equal_types(graph, node, inputs, 1);
  InPlace in_place;
  for (size_t i = 0; i < inputs; ++i) in_place.emplace_back(0, static_cast<int>(i));
  if (has_slices(graph, node)) return prepare_map_pixels<inputs>(cuda, graph, node, f);
  return with_float(x.dtype, [&]<class T>(std::type_identity<T>) {
    const auto run = [&cuda, f, count = elements(x.shape)](const Arguments& a) {
      const auto apply = [&]<size_t... i>(std::index_sequence<i...>) {
        map(cuda, f, count, output<T>(a, 0), input<T>(a, i)...);
      };
      apply(std::make_index_sequence<inputs>{});
    };
    return prepared("cuda", run, 0, in_place);
  });
}

}  // namespace node_cudnn::cuda
