#include "backend/cuda/batch_norm_grad.h"
#include "backend/cuda/beside.h"
#include "backend/cuda/ops.h"
#include "backend/cuda/slices.h"

namespace node_cudnn::cuda {
namespace {

template <class T, Tail tail>
struct SumGradients {
  Incoming<T, tail> in;

  template <int V>
  __device__ auto column(int64_t channel) const {
    return [c = typename Incoming<T, tail>::template Column<V>(in, channel)](Place at, GradientSums* sums) mutable {
      c.read(at);
      for (int k = 0; k < V; ++k) {
        const float gradient = c.gradient(k);
        sums[k].dbias += gradient;
        sums[k].dweight += gradient * c.normalised(k);
      }
    };
  }
};

template <class T, Tail tail>
Incoming<T, tail> incoming(const Arguments& a, int64_t gap) {
  const T *dy = input<T>(a, 0), *x = input<T>(a, 1);
  const auto channel = [&](size_t i) { return input<float>(a, i); };
  if constexpr (tail == Tail::relu) return {dy, x, nullptr, channel(2), channel(3), channel(4), channel(5), gap};
  if constexpr (tail == Tail::add_relu)
    return {dy, x, input<T>(a, 2), channel(3), nullptr, channel(4), channel(5), gap};
  return {dy, x, nullptr, channel(2), nullptr, channel(3), channel(4), gap};
}

Dims expect_gradient(const Graph& graph, const Node& node, Tail tail) {
  const bool add = tail == Tail::add_relu;
  expect_counts(node, tail == Tail::none ? 5 : 6, add ? 4 : 3);
  const ValueType& x = input_type(graph, node, 1);
  const Dims dims = expect_batch(x);
  expect_type("dy", input_type(graph, node, 0), x);
  expect_type("dx", output_type(graph, node, 0), x);
  if (add) expect_type("y", input_type(graph, node, 2), x);
  if (add) expect_type("dresidual", output_type(graph, node, 1), x);
  if (tail == Tail::relu)
    expect_channel_inputs(graph, node, 2, dims.c, {"weight", "bias", "mean", "invstd"});
  else
    expect_channel_inputs(graph, node, add ? 3 : 2, dims.c, {"weight", "mean", "invstd"});
  expect_channel_outputs(graph, node, add ? 2 : 1, dims.c, {"dweight", "dbias"});
  return dims;
}

Prepared prepare_gradient(Cuda& cuda, const Graph& graph, const Node& node, Tail tail) {
  const Dims dims = expect_gradient(graph, node, tail);
  const bool add = tail == Tail::add_relu;
  const int64_t gap = other_channels(graph, node.inputs[0]);
  InPlace in_place{{0, 0}, {0, 1}};
  if (add) in_place = {{1, 0}, {0, 1}, {0, 2}, {0, 0}, {1, 1}, {1, 2}};
  const DType dtype = input_type(graph, node, 1).dtype;
  Prepared own = with_tail(tail, [&]<Tail t>(std::integral_constant<Tail, t>) {
    return with_float(dtype, [&]<class T>(std::type_identity<T>) {
      return with_vector<T>(dims.c, [&]<int V>(std::integral_constant<int, V>) {
        const Columns columns = make_columns(cuda, dims.pixels(), dims.c, V);
        return prepared(
            "cuda",
            [=, &cuda](const Arguments& a) {
              const auto in = incoming<T, t>(a, gap);
              float *dweight = output<float>(a, add ? 2 : 1), *dbias = output<float>(a, add ? 3 : 2);
              reduce_columns<V, GradientSums>(cuda, columns, SumGradients<T, t>{in}, StoreGradientSums{dweight, dbias},
                                              a.workspace);
              map_columns<V>(cuda, columns,
                             InputGradient<T, t>{in, dweight, dbias, output<T>(a, 0), add ? output<T>(a, 1) : nullptr,
                                                 static_cast<float>(columns.rows)});
            },
            partial_bytes<GradientSums>(columns), in_place);
      });
    });
  });
  const Normalization normalization{true, dtype, {dims.n, dims.c, dims.h, dims.w}, add, tail != Tail::none};
  return beside(cuda, graph, node, normalization, std::move(own));
}

}  // namespace

Prepared prepare_batch_norm_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_gradient(cuda, graph, node, Tail::none);
}
Prepared prepare_batch_norm_relu_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_gradient(cuda, graph, node, Tail::relu);
}
Prepared prepare_batch_norm_add_relu_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_gradient(cuda, graph, node, Tail::add_relu);
}

}  // namespace node_cudnn::cuda
