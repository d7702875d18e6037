// What the batch-norm kernels of training, gradient and inference share.
#pragma once

#include "backend/cuda/columns.h"

namespace node_cudnn::cuda {

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
using PerChannel = Vector<float, V>;

// What rounding makes negative is 0; a NaN stays.
__device__ inline float not_negative(float x) { return x < 0 ? 0 : x; }

__device__ inline float inverse_deviation(float spread, float epsilon) {
  return epsilon < 0 ? spread : 1.0f / sqrtf(spread + epsilon);
}

// A byte of the mask holds as many channels, so a thread takes them.
constexpr int mask_channels = 8;

// Calls f with how many neighbouring channels a thread takes.
template <class T, Tail tail, class Function>
Prepared with_channels(int64_t channels, Function&& f) {
  if constexpr (tail == Tail::add_relu_mask)
    return f(std::integral_constant<int, mask_channels>{});
  else
    return with_vector<T>(channels, std::forward<Function>(f));
}

// y = tail((x - mean) * scale + shift [+ residual]), scale being weight * invstd.
template <class T, Tail tail>
struct Normalise {
  const T *x, *residual;
  T* y;
  const float *mean, *spread, *weight, *bias;
  float epsilon;  // `spread` is a variance where this is not negative, else an inverse deviation
  int64_t gap;    // between the pixels of y
  uint8_t* mask = nullptr;

  template <int V>
  __device__ auto column(int64_t channel) const {
    auto scale = load<V>(weight + channel);
    const auto centre = load<V>(mean + channel), shift = load<V>(bias + channel), spreads = load<V>(spread + channel);
    for (int k = 0; k < V; ++k) scale.at[k] *= inverse_deviation(spreads.at[k], epsilon);
    return [=, *this](Place at) {
      const auto values = load<V>(x + at);
      Vector<T, V> added = {};
      if constexpr (adds(tail)) added = load<V>(residual + at);
      Vector<T, V> result;
      [[maybe_unused]] unsigned passed = 0;
      for (int k = 0; k < V; ++k) {
        float value = fmaf(to_float(values.at[k]) - centre.at[k], scale.at[k], shift.at[k]);
        if constexpr (adds(tail)) value += to_float(added.at[k]);
        if constexpr (tail != Tail::none) value = value < 0 ? 0 : value;  // a NaN stays
        result.at[k] = from_float<T>(value);
        if constexpr (tail == Tail::add_relu_mask) passed |= unsigned{to_float(result.at[k]) > 0} << k;
      }
      store(y + at.within(gap), result);
      if constexpr (tail == Tail::add_relu_mask) mask[at / mask_channels] = static_cast<uint8_t>(passed);
    };
  }
};

// Two sums over the rows of a channel: of the gradient, and of the gradient times what x lies above its mean.
struct GradientSums {
  float dbias, product;
  __device__ void merge(const GradientSums& other) {
    dbias += other.dbias;
    product += other.product;
  }
};

struct StoreGradientSums {
  float *dweight, *dbias;
  const float* spread;
  float epsilon;  // as in Normalise

  __device__ void operator()(int64_t channel, const GradientSums& sums) const {
    dweight[channel] = sums.product * inverse_deviation(spread[channel], epsilon);
    dbias[channel] = sums.dbias;
  }
};

// Calls f with a constant of type std::integral_constant<Tail, tail>; with the mask, which training alone keeps, below.
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
template <class Function>
Prepared with_training_tail(Tail tail, Function&& f) {
  if (tail == Tail::add_relu_mask) return f(std::integral_constant<Tail, Tail::add_relu_mask>{});
  return with_tail(tail, std::forward<Function>(f));
}

}  // namespace node_cudnn::cuda
