#include "backend/cuda/batch_norm.h"
#include "backend/cuda/ops.h"
#include "backend/cuda/slices.h"

namespace node_cudnn::cuda {
namespace {

Prepared prepare_inference(Cuda& cuda, const Graph& graph, const Node& node, Tail tail) {
  const size_t residual = tail == Tail::add_relu ? 1 : 0;
  const BatchNorm given = expect_batch_norm_inference(graph, node, tail);
  const ValueType& x = input_type(graph, node, 0);
  const Dims dims = given.dims;
  const auto epsilon = static_cast<float>(given.epsilon);
  const int64_t gap = other_channels(graph, node.outputs[0]);
  InPlace in_place{{0, 0}};
  if (residual) in_place.emplace_back(0, 1);
  return with_tail(tail, [&]<Tail t>(std::integral_constant<Tail, t>) {
    return with_float(x.dtype, [&]<class T>(std::type_identity<T>) {
      return with_vector<T>(dims.c, [&]<int V>(std::integral_constant<int, V>) {
        const Columns columns = make_columns(cuda, dims.pixels(), dims.c, V);
        return prepared(
            "cuda",
            [=, &cuda](const Arguments& a) {
              const auto channel = [&](size_t i) { return input<float>(a, i + residual); };
              map_columns<V>(cuda, columns,
                             Normalise<T, t>{input<T>(a, 0), residual ? input<T>(a, 1) : nullptr, output<T>(a, 0),
                                             channel(3), channel(4), channel(1), channel(2), epsilon, gap});
            },
            0, in_place);
      });
    });
  });
}

// The statistics are constants here, so dx has no part that comes through them.
template <class T>
struct FrozenSums {
  const T *dy, *x;
  const float* mean;
  int64_t gap;  // between the pixels of dy

  template <int V>
  __device__ auto column(int64_t channel) const {
    return [centre = load<V>(mean + channel), dy = dy, x = x, gap = gap](Place at, GradientSums* sums) {
      const auto gradient = load<V>(dy + at.within(gap)), values = load<V>(x + at);
      for (int k = 0; k < V; ++k) {
        sums[k].dbias += to_float(gradient.at[k]);
        sums[k].product += to_float(gradient.at[k]) * (to_float(values.at[k]) - centre.at[k]);
      }
    };
  }
};

template <class T>
struct FrozenInputGradient {
  const T* dy;
  T* dx;
  const float *weight, *variance;
  float epsilon;
  int64_t gap;  // between the pixels of dy

  template <int V>
  __device__ auto column(int64_t channel) const {
    auto scale = load<V>(weight + channel);
    const auto variances = load<V>(variance + channel);
    for (int k = 0; k < V; ++k) scale.at[k] *= inverse_deviation(variances.at[k], epsilon);
    return [=, dy = dy, dx = dx, gap = gap](Place at) {
      auto values = load<V>(dy + at.within(gap));
      for (int k = 0; k < V; ++k) values.at[k] = from_float<T>(to_float(values.at[k]) * scale.at[k]);
      store(dx + at, values);
    };
  }
};

}  // namespace

Prepared prepare_batch_norm_inference(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_inference(cuda, graph, node, Tail::none);
}
Prepared prepare_batch_norm_inference_relu(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_inference(cuda, graph, node, Tail::relu);
}
Prepared prepare_batch_norm_inference_add_relu(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_inference(cuda, graph, node, Tail::add_relu);
}

Prepared prepare_batch_norm_inference_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  const BatchNorm given = expect_batch_norm_inference_grad(graph, node);
  const ValueType& x = input_type(graph, node, 1);
  const Dims dims = given.dims;
  const auto epsilon = static_cast<float>(given.epsilon);
  const int64_t gap = other_channels(graph, node.inputs[0]);
  return with_float(x.dtype, [&]<class T>(std::type_identity<T>) {
    return with_vector<T>(dims.c, [&]<int V>(std::integral_constant<int, V>) {
      const Columns columns = make_columns(cuda, dims.pixels(), dims.c, V);
      return prepared(
          "cuda",
          [=, &cuda](const Arguments& a) {
            const T *dy = input<T>(a, 0), *values = input<T>(a, 1);
            const float *weight = input<float>(a, 2), *mean = input<float>(a, 3), *variance = input<float>(a, 4);
            const StoreGradientSums finish{output<float>(a, 1), output<float>(a, 2), variance, epsilon};
            reduce_columns<V, GradientSums>(cuda, columns, FrozenSums<T>{dy, values, mean, gap}, finish, a.workspace);
            map_columns<V>(cuda, columns, FrozenInputGradient<T>{dy, output<T>(a, 0), weight, variance, epsilon, gap});
          },
          partial_bytes<GradientSums>(columns), {{0, 0}, {0, 1}});
    });
  });
}

}  // namespace node_cudnn::cuda
