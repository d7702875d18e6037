// Matrix products through cuBLASLt.
#include "backend/cuda/kernel.h"
#include "backend/cuda/ops.h"
#include "backend/cuda/planned.h"

namespace node_cudnn::cuda {

namespace {

Product product(const Cuda& cuda, const Node& node, Pass pass, const ValueType& x, const ValueType& w,
                const ValueType& y) {
  expect_linear(x, w, y);
  return {.pass = pass,
          .dtype = x.dtype,
          .result = pass == Pass::wgrad ? DType::float32 : x.dtype,
          .n = x.shape[0],
          .in = x.shape[1],
          .out = w.shape[0],
          .bias = node.inputs.size() == 3,
          .tf32 = cuda.tf32 && x.dtype == DType::float32};
}

}  // namespace

Prepared prepare_linear(Cuda& cuda, const Graph& graph, const Node& node) {
  const bool biased = node.inputs.size() == 3;
  expect_counts(node, biased ? 3 : 2, 1);
  const ValueType &x = input_type(graph, node, 0), &w = input_type(graph, node, 1), &y = output_type(graph, node, 0);
  const Product p = product(cuda, node, Pass::forward, x, w, y);
  expect_type("weight", w, plain(x.dtype, w.shape));
  if (biased) expect_type("bias", input_type(graph, node, 2), plain(DType::float32, {w.shape[0]}));
  return planned(cuda, p);
}

Prepared prepare_linear_dgrad(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType &dy = input_type(graph, node, 0), &w = input_type(graph, node, 1), &dx = output_type(graph, node, 0);
  const Product p = product(cuda, node, Pass::dgrad, dx, w, dy);
  expect_type("weight", w, plain(dy.dtype, w.shape));
  return planned(cuda, p);
}

Prepared prepare_linear_wgrad(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType &x = input_type(graph, node, 0), &dy = input_type(graph, node, 1), &dw = output_type(graph, node, 0);
  const Product p = product(cuda, node, Pass::wgrad, x, dw, dy);
  expect_type("dw", dw, plain(DType::float32, dw.shape));
  return planned(cuda, p);
}

}  // namespace node_cudnn::cuda
