// The gradient of BN+ReLU where the convolution before it, backward, gives the sums; and the sums for a convolution
// whose engine does not give them.
#include "backend/cuda/batch_norm.h"
#include "backend/cuda/masked_gradient.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

template <class T>
struct MaskGradient {
  T* gradient;
  const T* x;
  NormParameters norm;

  template <int V>
  __device__ auto column(int64_t channel) const {
    const auto mean = load_channels<V>(norm.mean, channel), invstd = load_channels<V>(norm.invstd, channel);
    const auto weight = load_channels<V>(norm.weight, channel), bias = load_channels<V>(norm.bias, channel);
    return [=, *this](int64_t offset, GradientSums* sums) {
      const auto values = load<V>(x + offset);
      auto masked = load<V>(gradient + offset);
      for (int k = 0; k < V; ++k) {
        const float centred = to_float(values.at[k]) - mean.at[k];
        const bool active = fmaf(centred, weight.at[k] * invstd.at[k], bias.at[k]) > 0;
        const float passed = active ? to_float(masked.at[k]) : 0;
        masked.at[k] = from_float<T>(passed);
        sums[k].dbias += passed;
        sums[k].dweight += passed * centred * invstd.at[k];
      }
      store(gradient + offset, masked);
    };
  }
};

template <class T>
struct InputGradient {
  const T *dy, *x;
  const float *weight, *mean, *invstd, *dweight, *dbias;
  T* dx;
  float rows;

  template <int V>
  __device__ auto column(int64_t channel) const {
    const auto centre = load_channels<V>(mean, channel);
    auto scale = load_channels<V>(weight, channel), slope = load_channels<V>(dweight, channel);
    auto offset_of = load_channels<V>(dbias, channel);
    for (int k = 0; k < V; ++k) {
      scale.at[k] *= invstd[channel + k];
      slope.at[k] *= invstd[channel + k] / rows;
      offset_of.at[k] /= rows;
    }
    return [=, *this](int64_t offset) {
      const auto values = load<V>(x + offset), gradient = load<V>(dy + offset);
      Vector<T, V> result;
      for (int k = 0; k < V; ++k) {
        const float centred = to_float(values.at[k]) - centre.at[k];
        const float inner = to_float(gradient.at[k]) - offset_of.at[k] - centred * slope.at[k];
        result.at[k] = from_float<T>(inner * scale.at[k]);
      }
      store(dx + offset, result);
    };
  }
};

}  // namespace

void mask_gradient(Cuda& cuda, DType dtype, void* gradient, const void* x, const NormParameters& norm, int64_t rows,
                   int64_t channels, float* dweight, float* dbias, void* workspace) {
  with_float(dtype, [&]<class T>(std::type_identity<T>) {
    with_vector<T>(channels, [&]<int V>(std::integral_constant<int, V>) {
      const MaskGradient<T> f{static_cast<T*>(gradient), static_cast<const T*>(x), norm};
      reduce_columns<V, GradientSums>(cuda, make_columns(cuda, rows, channels, V), f, StoreGradientSums{dweight, dbias},
                                      workspace);
    });
  });
}

size_t mask_gradient_bytes(const Cuda& cuda, DType dtype, int64_t rows, int64_t channels) {
  return with_float(dtype, [&]<class T>(std::type_identity<T>) {
    return with_vector<T>(channels, [&]<int V>(std::integral_constant<int, V>) {
      return partial_bytes<GradientSums>(make_columns(cuda, rows, channels, V));
    });
  });
}

Prepared prepare_batch_norm_summed_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 7, 1);
  const ValueType& x = input_type(graph, node, 1);
  const Dims dims = expect_batch(x);
  expect_type("dy", input_type(graph, node, 0), x);
  expect_type("dx", output_type(graph, node, 0), x);
  expect_channel_inputs(graph, node, 2, dims.c, {"weight", "mean", "invstd", "dweight", "dbias"});
  return with_float(x.dtype, [&]<class T>(std::type_identity<T>) {
    return with_vector<T>(dims.c, [&]<int V>(std::integral_constant<int, V>) {
      const Columns columns = make_columns(cuda, dims.pixels(), dims.c, V);
      return prepared(
          "cuda",
          [=, &cuda](const Arguments& a) {
            const auto channel = [&](size_t i) { return input<float>(a, i); };
            map_columns<V>(cuda, columns,
                           InputGradient<T>{input<T>(a, 0), input<T>(a, 1), channel(2), channel(3), channel(4),
                                            channel(5), channel(6), output<T>(a, 0), static_cast<float>(columns.rows)});
          },
          0, {{0, 0}, {0, 1}});
    });
  });
}

}  // namespace node_cudnn::cuda
