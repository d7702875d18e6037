#include <cmath>

#include "backend/cuda/elementwise.h"
#include "backend/cuda/ops.h"
#include "program/philox.h"

namespace node_cudnn::cuda {
namespace {

struct Dropping {
  uint32_t drop_below, stream;
  float scale;  // of what is kept
};

// The masks of one step. Elements are counted in logical order; a draw decides on four of them.
struct Mask {
  Dropping dropping;
  const int32_t *seed, *step;

  __device__ PhiloxCounter draw(int64_t i) const {
    return philox4x32({static_cast<uint32_t>(*step), dropping.stream, static_cast<uint32_t>(i / 4), 0},
                      {static_cast<uint32_t>(*seed), 1});
  }
  __device__ float factor(uint32_t bits) const { return bits >= dropping.drop_below ? dropping.scale : 0; }

  // Factors of the elements from i to i + 3. No index depends on i: the words stay in registers.
  __device__ void fill(int64_t i, float* factors) const {
    const int skipped = static_cast<int>(i % 4);
    const PhiloxCounter first = draw(i), second = skipped == 0 ? first : draw(i + 4);
    uint32_t words[8];
    for (int k = 0; k < 4; ++k) words[k] = first[k], words[4 + k] = second[k];
    for (int k = 0; k < 6; ++k) words[k] = skipped & 2 ? words[k + 2] : words[k];
    for (int k = 0; k < 5; ++k) words[k] = skipped & 1 ? words[k + 1] : words[k];
    for (int k = 0; k < 4; ++k) factors[k] = factor(words[k]);
  }
};

template <class T>
__device__ T drop(T x, float factor) {
  return from_float<T>(factor == 0 ? 0 : to_float(x) * factor);  // a NaN that is dropped is 0
}

// Values that are stored in logical order.
template <int N, class T>
__global__ void __launch_bounds__(block_threads) dropout_kernel(Mask mask, int64_t count, const T* x, T* y) {
  static_assert(N % 4 == 0);
  for_vectors<N>(count, [&](int64_t i, auto width) {
    constexpr int n = decltype(width)::value;
    auto values = load<n>(x + i);
    float factors[N];
    for (int k = 0; k < n; k += 4) mask.fill(i + k, factors + k);
    for (int k = 0; k < n; ++k) values.at[k] = drop(values.at[k], factors[k]);
    store(y + i, values);
  });
}

// Maps are stored [n][pixel][channel] and counted [n][channel][pixel]: a thread takes four neighbouring pixels of V
// neighbouring channels, so that nothing is drawn in vain where four divides the pixels, and half of it elsewhere.
template <int V, class T>
__global__ void __launch_bounds__(block_threads)
    dropout_maps_kernel(Mask mask, int64_t images, int64_t pixels, int64_t channels, const T* x, T* y) {
  const int64_t vectors = channels / V, quads = (pixels + 3) / 4;
  for (int64_t i = thread_index(); i < images * quads * vectors; i += thread_count()) {
    const int64_t channel = i % vectors * V, pixel = i / vectors % quads * 4, image = i / vectors / quads;
    float factors[V][4];
    for (int k = 0; k < V; ++k) mask.fill((image * channels + channel + k) * pixels + pixel, factors[k]);
    for (int p = 0; p < 4; ++p) {
      if (pixel + p >= pixels) continue;
      const int64_t at = (image * pixels + pixel + p) * channels + channel;
      auto values = load<V>(x + at);
      for (int k = 0; k < V; ++k) values.at[k] = drop(values.at[k], factors[k][p]);
      store(y + at, values);
    }
  }
}

template <class T>
Prepared over_maps(Cuda& cuda, const Dropping& dropping, const Dims& d) {
  return with_vector<T>(d.c, [&]<int V>(std::integral_constant<int, V>) {
    const auto run = [=, &cuda](const Arguments& a) {
      const int64_t items = d.n * ((d.plane() + 3) / 4) * (d.c / V);
      launch(dropout_maps_kernel<V, T>, blocks_for(cuda, items), block_threads, 0, cuda.stream,
             Mask{dropping, input<int32_t>(a, 1), input<int32_t>(a, 2)}, d.n, d.plane(), d.c, input<T>(a, 0),
             output<T>(a, 0));
    };
    return prepared("cuda", run, 0, {{0, 0}});
  });
}

template <class T>
Prepared in_order(Cuda& cuda, const Dropping& dropping, int64_t count) {
  constexpr int n = map_width<T>;
  const auto run = [=, &cuda](const Arguments& a) {
    launch(dropout_kernel<n, T>, blocks_for(cuda, (count + n - 1) / n), block_threads, 0, cuda.stream,
           Mask{dropping, input<int32_t>(a, 1), input<int32_t>(a, 2)}, count, input<T>(a, 0), output<T>(a, 0));
  };
  return prepared("cuda", run, 0, {{0, 0}});
}

}  // namespace

Prepared prepare_dropout(Cuda& cuda, const Graph& graph, const Node& node) {
  const auto [p, stream] = expect_dropout(graph, node);
  const ValueType& x = input_type(graph, node, 0);
  const Dropping dropping = {static_cast<uint32_t>(std::ldexp(p, 32)), stream, static_cast<float>(1 / (1 - p))};
  return with_float(x.dtype, [&]<class T>(std::type_identity<T>) {
    if (x.format == Format::plain) return in_order<T>(cuda, dropping, elements(x.shape));
    return over_maps<T>(cuda, dropping, expect_activation("x", x));
  });
}

}  // namespace node_cudnn::cuda
