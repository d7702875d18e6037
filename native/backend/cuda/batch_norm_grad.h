// What the kernels for the gradient of batch norm share, whoever sums up.
#pragma once

#include "backend/cuda/batch_norm.h"

namespace node_cudnn::cuda {

// dy behind the tail's mask, and the normalised input, for one channel of one row. With Tail::relu the mask is
// recomputed from x, as the forward pass computed it; with Tail::add_relu it is y > 0.
template <class T, Tail tail>
struct Incoming {
  const T *dy, *x, *y;
  const float *weight, *bias, *mean, *invstd;
  int64_t gap;  // between the pixels of dy

  template <int V>
  struct Column {
    Incoming in;
    PerChannel<V> mean, invstd, weight, bias;
    Vector<T, V> dy, x, y;

    __device__ Column(const Incoming& given, int64_t channel)
        : in(given),
          mean(load_channels<V>(given.mean, channel)),
          invstd(load_channels<V>(given.invstd, channel)),
          weight(load_channels<V>(given.weight, channel)) {
      if constexpr (tail == Tail::relu) bias = load_channels<V>(given.bias, channel);
    }
    __device__ void read(Place at) {
      dy = load<V>(in.dy + at.within(in.gap));
      x = load<V>(in.x + at);
      if constexpr (tail == Tail::add_relu) y = load<V>(in.y + at);
    }
    __device__ float centred(int k) const { return to_float(x.at[k]) - mean.at[k]; }
    __device__ float normalised(int k) const { return centred(k) * invstd.at[k]; }
    __device__ float gradient(int k) const {
      if constexpr (tail == Tail::relu)
        return fmaf(centred(k), weight.at[k] * invstd.at[k], bias.at[k]) > 0 ? to_float(dy.at[k]) : 0;
      if constexpr (tail == Tail::add_relu) return to_float(y.at[k]) > 0 ? to_float(dy.at[k]) : 0;
      return to_float(dy.at[k]);
    }
  };
};

template <class T, Tail tail>
struct InputGradient {
  Incoming<T, tail> in;
  const float *dweight, *dbias;
  T *dx, *dresidual;
  float rows;

  template <int V>
  __device__ auto column(int64_t channel) const {
    typename Incoming<T, tail>::template Column<V> own(in, channel);
    auto slope = load_channels<V>(dweight, channel), offset_of = load_channels<V>(dbias, channel);
    PerChannel<V> scale;
    for (int k = 0; k < V; ++k) {
      slope.at[k] /= rows;
      offset_of.at[k] /= rows;
      scale.at[k] = own.weight.at[k] * own.invstd.at[k];
    }
    return [=, c = own, dx = dx, dresidual = dresidual](Place at) mutable {
      c.read(at);
      Vector<T, V> result, masked;
      for (int k = 0; k < V; ++k) {
        const float gradient = c.gradient(k);
        result.at[k] = from_float<T>((gradient - offset_of.at[k] - c.normalised(k) * slope.at[k]) * scale.at[k]);
        masked.at[k] = from_float<T>(gradient);
      }
      store(dx + at, result);
      if constexpr (tail == Tail::add_relu) store(dresidual + at, masked);
    };
  }
};

}  // namespace node_cudnn::cuda
