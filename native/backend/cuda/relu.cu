#include "backend/cuda/elementwise.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

struct Rectify {
  __device__ float operator()(float x) const { return x < 0 ? 0 : x; }  // a NaN stays
};

struct Mask {
  __device__ float operator()(float dy, float y) const { return y > 0 ? dy : 0; }
};

}  // namespace

Prepared prepare_relu(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 1);
  const ValueType& x = input_type(graph, node, 0);
  expect_float("x", x);
  expect_type("y", output_type(graph, node, 0), x);
  const int64_t count = elements(x.shape);
  return with_float(x.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared(
        "cuda", [&cuda, count](const Arguments& a) { map(cuda, Rectify{}, count, output<T>(a, 0), input<T>(a, 0)); }, 0,
        {{0, 0}});
  });
}

Prepared prepare_relu_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType& dy = input_type(graph, node, 0);
  expect_float("dy", dy);
  expect_type("y", input_type(graph, node, 1), dy);
  expect_type("dx", output_type(graph, node, 0), dy);
  const int64_t count = elements(dy.shape);
  return with_float(dy.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared("cuda",
                    [&cuda, count](const Arguments& a) {
                      map(cuda, Mask{}, count, output<T>(a, 0), input<T>(a, 0), input<T>(a, 1));
                    },
                    0, {{0, 0}, {0, 1}});
  });
}

}  // namespace node_cudnn::cuda
