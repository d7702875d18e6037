// What the kernels for the gradient of batch norm share, whoever sums up.
#pragma once

#include "backend/cuda/batch_norm.h"

namespace node_cudnn::cuda {

// dy behind the tail's mask, and the centred input, for the channels of a thread in one row. With Tail::relu the mask
// is recomputed from x, as the forward pass computed it; with Tail::add_relu it is y > 0, or was kept as bits.
template <class T, Tail tail>
struct Incoming {
  static constexpr bool is_masked = tail == Tail::add_relu_mask;
  using Passed = std::conditional_t<is_masked, uint8_t, T>;

  const T *dy, *x;
  const Passed* passed;  // y or the mask
  const float *weight, *bias, *mean, *invstd;
  int64_t gap;  // between the pixels of dy

  template <int V>
  struct Column {
    Incoming in;
    PerChannel<V> mean, scale, bias;
    Vector<T, V> dy, x;
    Vector<Passed, is_masked ? 1 : V> passed;

    __device__ Column(const Incoming& given, int64_t channel)
        : in(given), mean(load<V>(given.mean + channel)), scale(load<V>(given.weight + channel)) {
      const auto invstd = load<V>(given.invstd + channel);
      for (int k = 0; k < V; ++k) scale.at[k] *= invstd.at[k];
      if constexpr (tail == Tail::relu) bias = load<V>(given.bias + channel);
    }
    __device__ void read(Place at) {
      dy = load<V>(in.dy + at.within(in.gap));
      x = load<V>(in.x + at);
      if constexpr (tail == Tail::add_relu) passed = load<V>(in.passed + at);
      if constexpr (is_masked) passed = load<1>(in.passed + at / mask_channels);
    }
    __device__ float centred(int k) const { return to_float(x.at[k]) - mean.at[k]; }
    __device__ float gradient(int k) const {
      if constexpr (tail == Tail::relu) return fmaf(centred(k), scale.at[k], bias.at[k]) > 0 ? to_float(dy.at[k]) : 0;
      if constexpr (tail == Tail::add_relu) return to_float(passed.at[k]) > 0 ? to_float(dy.at[k]) : 0;
      if constexpr (is_masked) return passed.at[0] >> k & 1 ? to_float(dy.at[k]) : 0;
      return to_float(dy.at[k]);
    }
  };
};

// With `keeps`, what the tail lets through is stored as well; in the place of dy or y, where that is wanted.
template <class T, Tail tail, bool keeps = false>
struct SumGradients {
  Incoming<T, tail> in;
  T* passed;

  template <int V>
  __device__ auto column(int64_t channel) const {
    return [c = typename Incoming<T, tail>::template Column<V>(in, channel), passed = passed](
               Place at, GradientSums* sums) mutable {
      c.read(at);
      Vector<T, V> masked;
      for (int k = 0; k < V; ++k) {
        const float gradient = c.gradient(k);
        masked.at[k] = from_float<T>(gradient);
        sums[k].dbias += gradient;
        sums[k].product += gradient * c.centred(k);
      }
      if constexpr (keeps) store(passed + at, masked);
    };
  }
};

template <class T, Tail tail>
struct InputGradient {
  Incoming<T, tail> in;
  const float *dweight, *dbias;
  T* dx;
  float share;  // of a row: 1 / rows

  template <int V>
  __device__ auto column(int64_t channel) const {
    typename Incoming<T, tail>::template Column<V> own(in, channel);
    const auto invstd = load<V>(in.invstd + channel);
    auto slope = load<V>(dweight + channel), offset_of = load<V>(dbias + channel);
    for (int k = 0; k < V; ++k) {
      slope.at[k] *= share * invstd.at[k];
      offset_of.at[k] *= share;
    }
    return [=, c = own, dx = dx](Place at) mutable {
      c.read(at);
      Vector<T, V> result;
      for (int k = 0; k < V; ++k)
        result.at[k] = from_float<T>((c.gradient(k) - offset_of.at[k] - c.centred(k) * slope.at[k]) * c.scale.at[k]);
      store(dx + at, result);
    };
  }
};

}  // namespace node_cudnn::cuda
