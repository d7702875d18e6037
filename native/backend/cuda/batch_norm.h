// What the batch-norm kernels of training, gradient and inference share.
#pragma once

#include <limits>

#include "backend/cuda/columns.h"

namespace node_cudnn::cuda {

enum class Tail : uint8_t { none, relu, add_relu };

constexpr double any_number = std::numeric_limits<double>::max();

// Count, mean and sum of squared deviations (Welford; merged as Chan, Golub and LeVeque): no cancellation, however far
// the mean lies from zero.
struct Moments {
  float count, mean, squares;

  __device__ void add(float x, float reciprocal_count) {
    const float delta = x - mean;
    mean += delta * reciprocal_count;
    squares += delta * (x - mean);
  }
  __device__ void merge(const Moments& other) {
    if (other.count == 0) return;
    const float total = count + other.count, delta = other.mean - mean, share = other.count / total;
    mean += delta * share;
    squares += other.squares + delta * delta * count * share;
    count = total;
  }
};

// One number per channel for the channels of a thread.
template <int V>
struct PerChannel {
  float at[V];
};

template <int V>
__device__ PerChannel<V> load_channels(const float* values, int64_t channel) {
  PerChannel<V> result;
  for (int k = 0; k < V; ++k) result.at[k] = values[channel + k];
  return result;
}

// y = tail((x - mean) * scale + shift [+ residual]), scale being weight * invstd.
template <class T, Tail tail>
struct Normalise {
  const T *x, *residual;
  T* y;
  const float *mean, *spread, *weight, *bias;
  float epsilon;  // `spread` is a variance where this is not negative, else an inverse deviation
  int64_t gap;    // between the pixels of y

  __device__ float invstd(float value) const { return epsilon < 0 ? value : 1.0f / sqrtf(value + epsilon); }

  template <int V>
  __device__ auto column(int64_t channel) const {
    auto scale = load_channels<V>(weight, channel);
    const auto centre = load_channels<V>(mean, channel), shift = load_channels<V>(bias, channel);
    for (int k = 0; k < V; ++k) scale.at[k] *= invstd(spread[channel + k]);
    return [=, *this](Place at) {
      const auto values = load<V>(x + at);
      Vector<T, V> added = {};
      if constexpr (tail == Tail::add_relu) added = load<V>(residual + at);
      Vector<T, V> result;
      for (int k = 0; k < V; ++k) {
        float value = fmaf(to_float(values.at[k]) - centre.at[k], scale.at[k], shift.at[k]);
        if constexpr (tail == Tail::add_relu) value += to_float(added.at[k]);
        if constexpr (tail != Tail::none) value = value < 0 ? 0 : value;  // a NaN stays
        result.at[k] = from_float<T>(value);
      }
      store(y + at.within(gap), result);
    };
  }
};

// Two sums over the rows of a channel: of the gradient, and of the gradient times the normalised input.
struct GradientSums {
  float dbias, dweight;
  __device__ void merge(const GradientSums& other) {
    dbias += other.dbias;
    dweight += other.dweight;
  }
};

struct StoreGradientSums {
  float *dweight, *dbias;
  __device__ void operator()(int64_t channel, const GradientSums& sums) const {
    dweight[channel] = sums.dweight;
    dbias[channel] = sums.dbias;
  }
};

// Calls f with a constant of type std::integral_constant<Tail, tail>.
template <class Function>
Prepared with_tail(Tail tail, Function&& f) {
  switch (tail) {
    case Tail::relu:
      return f(std::integral_constant<Tail, Tail::relu>{});
    case Tail::add_relu:
      return f(std::integral_constant<Tail, Tail::add_relu>{});
    default:
      return f(std::integral_constant<Tail, Tail::none>{});
  }
}

Dims expect_batch(const ValueType& x);  // more than one value per channel

}  // namespace node_cudnn::cuda
