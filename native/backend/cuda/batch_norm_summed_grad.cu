// The gradient of BN+ReLU where the convolution before it, backward, gives the sums; and the sums for a convolution
// whose engine does not give them.
#include "backend/cuda/batch_norm_grad.h"
#include "backend/cuda/masked_gradient.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
void mask_gradient(Cuda& cuda, DType dtype, void* gradient, const void* x, const NormParameters& norm, int64_t rows,
                   int64_t channels, float* dweight, float* dbias, void* workspace) {
  with_float(dtype, [&]<class T>(std::type_identity<T>) {
    with_vector<T>(channels, [&]<int V>(std::integral_constant<int, V>) {
      auto* const in_place = static_cast<T*>(gradient);
      const SumGradients<T, Tail::relu, true> f{
          {in_place, static_cast<const T*>(x), nullptr, norm.weight, norm.bias, norm.mean, norm.invstd, 0}, in_place};
      reduce_columns<V, GradientSums>(cuda, make_columns(cuda, rows, channels, V), f,
                                      StoreGradientSums{dweight, dbias, norm.invstd, -1}, workspace);
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
      return prepared("cuda",
                      [=, &cuda](const Arguments& a) {
                        const auto channel = [&](size_t i) { return input<float>(a, i); };
                        const Incoming<T, Tail::none> in{input<T>(a, 0), input<T>(a, 1), nullptr,    channel(2),
                                                         nullptr,        channel(3),     channel(4), 0};
                        map_columns<V>(cuda, columns,
                                       InputGradient<T, Tail::none>{in, channel(5), channel(6), output<T>(a, 0),
                                                                    1.0f / static_cast<float>(columns.rows)});
                      },
                      0, {{0, 0}, {0, 1}});
    });
  });
}

}  // namespace node_cudnn::cuda
