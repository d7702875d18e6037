// Convolution and its gradients: geometry checked here, engines from cuDNN.
#include <cstddef>

#include "backend/cuda/kernel.h"
#include "backend/cuda/ops.h"
#include "backend/cuda/planned.h"

namespace node_cudnn::cuda {

namespace {

std::array<int64_t, 4> four(const Shape& shape) { return {shape[0], shape[1], shape[2], shape[3]}; }

Convolution convolution(const Cuda& cuda, const Node& node, Pass pass, const ValueType& x, const ValueType& w,
                        const ValueType& y) {
  const auto [window, groups] = expect_convolution(node, x, w, y);
  const auto& [h, v] = window;
  return {.pass = pass,
          .dtype = x.dtype,
          .result = x.dtype,
          .x = four(x.shape),
          .w = four(w.shape),
          .y = four(y.shape),
          .stride = {h.stride, v.stride},
          .dilation = {h.dilation, v.dilation},
          .padding = {h.before, v.before, h.after, v.after},
          .groups = groups,
          .bias = false,
          .tf32 = cuda.tf32 && x.dtype == DType::float32};
}

Prepared prepare_forward(Cuda& cuda, const Graph& graph, const Node& node, bool adds, bool rectifies) {
  const Epilogue epilogue = expect_epilogue(graph, node, adds, rectifies);
  Convolution c = convolution(cuda, node, Pass::forward, input_type(graph, node, 0), input_type(graph, node, 1),
                              output_type(graph, node, 0));
  c.bias = epilogue.bias != 0;
  c.residual = epilogue.residual != 0;
  c.relu = epilogue.relu;
  return planned(cuda, c);
}

// What stands for x: itself, relu(scale · x + shift), or relu(scale · x + shift + residual).
enum class Prologue : uint8_t { none, scale, scale_add };

size_t operands_of(Prologue prologue) { return prologue == Prologue::none ? 1 : prologue == Prologue::scale ? 3 : 4; }

void expect_prologue(const Graph& graph, const Node& node, Prologue prologue) {
  if (prologue == Prologue::none) return;
  const ValueType& x = input_type(graph, node, 0);
  expect_type("scale", input_type(graph, node, 1), plain(x.dtype, {x.shape[1]}));
  expect_type("shift", input_type(graph, node, 2), plain(x.dtype, {x.shape[1]}));
  if (prologue == Prologue::scale_add) expect_type("residual", input_type(graph, node, 3), x);
}

// x, [scale, shift], [residual], w; the sums of y behind it, and what stood for x where that has a residual.
Prepared prepare_summed(Cuda& cuda, const Graph& graph, const Node& node, Prologue prologue) {
  const size_t filter = operands_of(prologue);
  const bool adds = prologue == Prologue::scale_add;
  expect_counts(node, filter + 1, adds ? 4 : 3);
  const ValueType &x = input_type(graph, node, 0), &w = input_type(graph, node, filter);
  Convolution c = convolution(cuda, node, Pass::forward, x, w, output_type(graph, node, 0));
  c.statistics = true;
  c.prologue = prologue != Prologue::none;
  c.residual = adds;
  expect_prologue(graph, node, prologue);
  if (adds) expect_type("z", output_type(graph, node, 3), x);
  expect_type("weight", w, {x.dtype, Format::filter, w.shape});
  expect_channel_outputs(graph, node, 1, w.shape[0], {"sum", "square_sum"});
  return planned(cuda, c);
}

// x, [scale, shift], dy.
Prepared prepare_wgrad(Cuda& cuda, const Graph& graph, const Node& node, bool scaled) {
  const size_t incoming = scaled ? 3 : 1;
  expect_counts(node, incoming + 1, 1);
  const ValueType& dw = output_type(graph, node, 0);
  Convolution c =
      convolution(cuda, node, Pass::wgrad, input_type(graph, node, 0), dw, input_type(graph, node, incoming));
  c.prologue = scaled;
  expect_prologue(graph, node, scaled ? Prologue::scale : Prologue::none);
  expect_type("dw", dw, {DType::float32, Format::filter, dw.shape});
  return planned(cuda, c);
}

}  // namespace

Prepared prepare_conv2d(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_forward(cuda, graph, node, false, false);
}
Prepared prepare_conv2d_relu(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_forward(cuda, graph, node, false, true);
}
Prepared prepare_conv2d_add_relu(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_forward(cuda, graph, node, true, true);
}

Prepared prepare_conv2d_statistics(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_summed(cuda, graph, node, Prologue::none);
}
Prepared prepare_scaled_conv2d_statistics(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_summed(cuda, graph, node, Prologue::scale);
}
Prepared prepare_scaled_add_conv2d_statistics(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_summed(cuda, graph, node, Prologue::scale_add);
}

Prepared prepare_conv2d_wgrad(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_wgrad(cuda, graph, node, false);
}
Prepared prepare_scaled_conv2d_wgrad(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_wgrad(cuda, graph, node, true);
}

Prepared prepare_conv2d_dgrad(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType &dy = input_type(graph, node, 0), &w = input_type(graph, node, 1), &dx = output_type(graph, node, 0);
  const Convolution c = convolution(cuda, node, Pass::dgrad, dx, w, dy);
  expect_type("weight", w, {dy.dtype, Format::filter, w.shape});
  return planned(cuda, c);
}

Prepared prepare_conv2d_dgrad_statistics(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 7, 3);
  const ValueType &dy = input_type(graph, node, 0), &w = input_type(graph, node, 1), &dx = output_type(graph, node, 0);
  Convolution c = convolution(cuda, node, Pass::dgrad, dx, w, dy);
  c.statistics = true;
  expect_type("weight of the convolution", w, {dy.dtype, Format::filter, w.shape});
  expect_type("x", input_type(graph, node, 2), dx);
  expect_channel_inputs(graph, node, 3, dx.shape[1], {"weight", "bias", "mean", "invstd"});
  expect_channel_outputs(graph, node, 1, dx.shape[1], {"dweight", "dbias"});
  return planned(cuda, c);
}

}  // namespace node_cudnn::cuda
