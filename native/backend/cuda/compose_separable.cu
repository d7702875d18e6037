// A depthwise and a pointwise filter made one, and its gradient taken apart: a few thousand products.
#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

// Filters lie [o][kh * kw][i]: w [outputs][window][inputs], depthwise [between][window], pointwise [outputs][between].
struct Separable {
  int64_t outputs, inputs, between, window;
  __device__ int64_t multiplier() const { return between / inputs; }
  __device__ int64_t at(int64_t o, int64_t k, int64_t d) const { return (o * window + k) * inputs + d / multiplier(); }
};

__global__ void __launch_bounds__(block_threads)
    compose_kernel(Separable s, const float* depthwise, const float* pointwise, float* w) {
  const int64_t count = s.outputs * s.window * s.inputs;
  for (int64_t index = thread_index(); index < count; index += thread_count()) {
    const int64_t c = index % s.inputs, k = index / s.inputs % s.window, o = index / s.inputs / s.window;
    float sum = 0;
    for (int64_t d = c * s.multiplier(); d < (c + 1) * s.multiplier(); ++d)
      sum += pointwise[o * s.between + d] * depthwise[d * s.window + k];
    w[index] = sum;
  }
}

__global__ void __launch_bounds__(block_threads)
    depthwise_gradient_kernel(Separable s, const float* dw, const float* pointwise, float* ddepthwise) {
  for (int64_t index = thread_index(); index < s.between * s.window; index += thread_count()) {
    const int64_t d = index / s.window, k = index % s.window;
    float sum = 0;
    for (int64_t o = 0; o < s.outputs; ++o) sum += pointwise[o * s.between + d] * dw[s.at(o, k, d)];
    ddepthwise[index] = sum;
  }
}

__global__ void __launch_bounds__(block_threads)
    pointwise_gradient_kernel(Separable s, const float* dw, const float* depthwise, float* dpointwise) {
  for (int64_t index = thread_index(); index < s.outputs * s.between; index += thread_count()) {
    const int64_t d = index % s.between, o = index / s.between;
    float sum = 0;
    for (int64_t k = 0; k < s.window; ++k) sum += depthwise[d * s.window + k] * dw[s.at(o, k, d)];
    dpointwise[index] = sum;
  }
}

Separable make_separable(const ValueType& w, const ValueType& depthwise, const ValueType& pointwise) {
  expect_separable(w, depthwise, pointwise);
  return {w.shape[0], w.shape[1], depthwise.shape[0], w.shape[2] * w.shape[3]};
}

}  // namespace

Prepared prepare_compose_separable(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const Separable s =
      make_separable(output_type(graph, node, 0), input_type(graph, node, 0), input_type(graph, node, 1));
  return prepared("cuda", [s, &cuda](const Arguments& a) {
    launch(compose_kernel, blocks_for(cuda, s.outputs * s.window * s.inputs), block_threads, 0, cuda.stream, s,
           input<float>(a, 0), input<float>(a, 1), output<float>(a, 0));
  });
}

Prepared prepare_compose_separable_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 3, 2);
  const ValueType &depthwise = input_type(graph, node, 1), &pointwise = input_type(graph, node, 2);
  const Separable s = make_separable(input_type(graph, node, 0), depthwise, pointwise);
  expect_type("ddepthwise", output_type(graph, node, 0), depthwise);
  expect_type("dpointwise", output_type(graph, node, 1), pointwise);
  return prepared("cuda", [s, &cuda](const Arguments& a) {
    launch(depthwise_gradient_kernel, blocks_for(cuda, s.between * s.window), block_threads, 0, cuda.stream, s,
           input<float>(a, 0), input<float>(a, 2), output<float>(a, 0));
    launch(pointwise_gradient_kernel, blocks_for(cuda, s.outputs * s.between), block_threads, 0, cuda.stream, s,
           input<float>(a, 0), input<float>(a, 1), output<float>(a, 1));
  });
}

}  // namespace node_cudnn::cuda
