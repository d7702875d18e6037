#include "backend/cuda/batch_norm_grad.h"
#include "backend/cuda/beside.h"
#include "backend/cuda/ops.h"
#include "backend/cuda/slices.h"

namespace node_cudnn::cuda {
namespace {

template <class T, Tail tail>
Incoming<T, tail> incoming(const Arguments& a, int64_t gap) {
  const T *dy = input<T>(a, 0), *x = input<T>(a, 1);
  const auto channel = [&](size_t i) { return input<float>(a, i); };
  if constexpr (tail == Tail::relu) return {dy, x, nullptr, channel(2), channel(3), channel(4), channel(5), gap};
  if constexpr (adds(tail))
    return {dy, x, input<typename Incoming<T, tail>::Passed>(a, 2), channel(3), nullptr, channel(4), channel(5), gap};
  return {dy, x, nullptr, channel(2), nullptr, channel(3), channel(4), gap};
}

// The sums, then dx. Behind an addition what the ReLU lets through is an output, which the second pass reads in the
// place of dy and the mask.
template <int V, class T, Tail tail>
void run_gradient(const Cuda& cuda, const Columns& columns, const Incoming<T, tail>& in, float* dweight, float* dbias,
                  const Arguments& a) {
  constexpr bool add = adds(tail);
  T* const passed = add ? output<T>(a, 1) : nullptr;
  reduce_columns<V, GradientSums>(cuda, columns, SumGradients<T, tail, add>{in, passed},
                                  StoreGradientSums{dweight, dbias, in.invstd, -1}, a.workspace);
  const float share = 1.0f / static_cast<float>(columns.rows);
  T* const dx = output<T>(a, 0);
  if constexpr (add) {
    const Incoming<T, Tail::none> rest{passed, in.x, nullptr, in.weight, nullptr, in.mean, in.invstd, 0};
    map_columns<V>(cuda, columns, InputGradient<T, Tail::none>{rest, dweight, dbias, dx, share});
  } else {
    map_columns<V>(cuda, columns, InputGradient<T, tail>{in, dweight, dbias, dx, share});
  }
}

Prepared prepare_gradient(Cuda& cuda, const Graph& graph, const Node& node, Tail tail) {
  const Dims dims = expect_batch_norm_grad(graph, node, tail);
  const bool add = adds(tail);
  const int64_t gap = other_channels(graph, node.inputs[0]);
  InPlace in_place{{0, 0}, {0, 1}};
  if (add) in_place = {{1, 0}, {0, 1}, {0, 0}};
  if (tail == Tail::add_relu) in_place.insert(in_place.end(), {{0, 2}, {1, 2}});
  const DType dtype = input_type(graph, node, 1).dtype;
  Prepared own = with_training_tail(tail, [&]<Tail t>(std::integral_constant<Tail, t>) {
    return with_float(dtype, [&]<class T>(std::type_identity<T>) {
      return with_channels<T, t>(dims.c, [&]<int V>(std::integral_constant<int, V>) {
        const Columns columns = make_columns(cuda, dims.pixels(), dims.c, V);
        return prepared(
            "cuda",
            [=, &cuda](const Arguments& a) {
              float *dweight = output<float>(a, add ? 2 : 1), *dbias = output<float>(a, add ? 3 : 2);
              run_gradient<V>(cuda, columns, incoming<T, t>(a, gap), dweight, dbias, a);
            },
            partial_bytes<GradientSums>(columns), in_place);
      });
    });
  });
  if (tail == Tail::add_relu_mask) return own;
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
Prepared prepare_batch_norm_add_relu_mask_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_gradient(cuda, graph, node, Tail::add_relu_mask);
}

}  // namespace node_cudnn::cuda
