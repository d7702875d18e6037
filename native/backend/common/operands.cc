#include "backend/common/operands.h"

#include <cmath>
#include <limits>

namespace node_cudnn {
namespace {

constexpr double any_number = 1e30;
const ValueType scalar = plain(DType::float32, {1}), counter = plain(DType::int32, {1});

void expect_matrix(const char* role, const ValueType& x) {
  expect(x.shape.size() == 2 && x.format == Format::plain,
         std::string(role) + " must be plain [N, K], not " + to_string(x.shape));
  expect_float(role, x);
}

void expect_mask(const ValueType& mask, const Dims& d) {
  expect(d.c % 8 == 0, "a mask has bits for channels in eights, not for " + std::to_string(d.c));
  expect_type("mask", mask, {DType::uint8, Format::activation, {d.n, d.c / 8, d.h, d.w}});
}

void expect_channels(const ValueType& x, const ValueType& w, const ValueType& y, int64_t groups) {
  expect(w.shape[0] % groups == 0 && x.shape[1] == w.shape[1] * groups,
         "x has " + std::to_string(x.shape[1]) + " channels, weight expects " + std::to_string(w.shape[1] * groups) +
             " (groups " + std::to_string(groups) + ")");
  expect(x.shape[0] == y.shape[0] && y.shape[1] == w.shape[0],
         "y must be [" + std::to_string(x.shape[0]) + ", " + std::to_string(w.shape[0]) + ", ...]");
}

void expect_convolved(const char* axis, const Axis& a) {
  expect(a.out == a.whole_windows(), "output " + std::string(axis) + " is " + std::to_string(a.out) + ", must be " +
                                         std::to_string(a.whole_windows()));
}

void expect_pooled(const std::string& axis, const Axis& a) {
  expect(a.before < a.extent() && a.after < a.extent(),
         "padding of the " + axis + " must be smaller than the dilated kernel's " + std::to_string(a.extent()));
  const int64_t whole = a.whole_windows(), last_start = (a.out - 1) * a.stride;
  const bool ceiling = a.out == whole + 1 && last_start < a.slack() + a.stride && last_start < a.in + a.before;
  expect(a.out == whole || ceiling, "output " + axis + " is " + std::to_string(a.out) + ", must be " +
                                        std::to_string(whole) + ", or one more where ceil mode allows it");
}

}  // namespace

Convolving expect_convolution(const Node& node, const ValueType& x, const ValueType& w, const ValueType& y) {
  expect_activation("x", x);
  expect_activation("y", y);
  expect(x.dtype == y.dtype, "x and y must have one dtype");
  expect_type("weight", w, {w.dtype, Format::filter, w.shape});
  expect(w.shape.size() == 4, "weight must be [O, I / groups, kh, kw], not " + to_string(w.shape));
  const int64_t groups = expect_integer(node, "groups", 1);
  expect_channels(x, w, y, groups);
  const Window window = make_window(node, x, y, w.shape[2], w.shape[3]);
  expect_convolved("height", window.h);
  expect_convolved("width", window.w);
  return {window, groups};
}

Epilogue expect_epilogue(const Graph& graph, const Node& node, bool adds, bool rectifies) {
  const size_t operands = node.inputs.size() - (adds ? 1 : 0);
  expect(operands == 2 || operands == 3, "has " + std::to_string(node.inputs.size()) + " inputs");
  expect_counts(node, node.inputs.size(), 1);
  const ValueType &x = input_type(graph, node, 0), &w = input_type(graph, node, 1), &y = output_type(graph, node, 0);
  expect_convolution(node, x, w, y);
  expect_type("weight", w, {x.dtype, Format::filter, w.shape});
  const Epilogue epilogue = {operands == 3 ? size_t{2} : 0, adds ? operands : 0, rectifies};
  if (epilogue.bias) expect_type("bias", input_type(graph, node, 2), plain(DType::float32, {w.shape[0]}));
  if (epilogue.residual) expect_type("residual", input_type(graph, node, epilogue.residual), y);
  return epilogue;
}

void expect_linear(const ValueType& x, const ValueType& w, const ValueType& y) {
  expect_float("x", x);
  expect(x.shape.size() == 2, "x must be [N, I]; flatten it first");
  expect(w.shape.size() == 2, "weight must be [O, I]");
  expect(x.shape[1] == w.shape[1],
         "x has " + std::to_string(x.shape[1]) + " features, weight expects " + std::to_string(w.shape[1]));
  expect_type("y", y, plain(x.dtype, {x.shape[0], w.shape[0]}));
}

Window expect_pooling(const Node& node, const ValueType& x, const ValueType& y) {
  const Dims in = expect_activation("x", x), out = expect_activation("y", y);
  expect(in.n == out.n && in.c == out.c && x.dtype == y.dtype,
         "batch size, channels and dtype of x and y must be equal");
  const Shape kernel = expect_integers(node, "kernel", 2, 1);
  const Window window = make_window(node, x, y, kernel[0], kernel[1]);
  expect_pooled("height", window.h);
  expect_pooled("width", window.w);
  return window;
}

Dims expect_global_pooling(const Node& node, const ValueType& x, const ValueType& y) {
  expect_counts(node, 1, 1);
  const Dims dims = expect_activation("x", x);
  expect_type("y", y, plain(x.dtype, {dims.n, dims.c}));
  return dims;
}

Dims expect_batch(const ValueType& x) {
  const Dims dims = expect_activation("x", x);
  expect(dims.pixels() > 1, "one value per channel has no variance; train on larger batches or images");
  return dims;
}

BatchNorm expect_batch_norm(const Graph& graph, const Node& node, Tail tail, bool summed) {
  const size_t first = adds(tail) ? 2 : 1;
  const bool masked = tail == Tail::add_relu_mask;
  expect_counts(node, first + (summed ? 4 : 2), masked ? 6 : 5);
  const ValueType& x = input_type(graph, node, 0);
  const Dims dims = expect_batch(x);
  if (adds(tail)) expect_type("residual", input_type(graph, node, 1), x);
  if (masked) expect_mask(output_type(graph, node, 5), dims);
  expect_channel_inputs(graph, node, first, dims.c, {"weight", "bias"});
  if (summed) expect_channel_inputs(graph, node, first + 2, dims.c, {"sum", "square_sum"});
  expect_type("y", output_type(graph, node, 0), x);
  expect_channel_outputs(graph, node, 1, dims.c, {"mean", "invstd", "running_mean", "running_var"});
  return {dims, expect_number(node, "epsilon", 0, any_number), expect_number(node, "momentum", 0, 1)};
}

// dy, x, [y or mask], weight, [bias], mean, invstd; dx, [dresidual], dweight, dbias.
Dims expect_batch_norm_grad(const Graph& graph, const Node& node, Tail tail) {
  const bool residual = adds(tail);
  expect_counts(node, tail == Tail::none ? 5 : 6, residual ? 4 : 3);
  const ValueType& x = input_type(graph, node, 1);
  const Dims dims = expect_batch(x);
  expect_type("dy", input_type(graph, node, 0), x);
  expect_type("dx", output_type(graph, node, 0), x);
  if (tail == Tail::add_relu) expect_type("y", input_type(graph, node, 2), x);
  if (tail == Tail::add_relu_mask) expect_mask(input_type(graph, node, 2), dims);
  if (residual) expect_type("dresidual", output_type(graph, node, 1), x);
  if (tail == Tail::relu)
    expect_channel_inputs(graph, node, 2, dims.c, {"weight", "bias", "mean", "invstd"});
  else
    expect_channel_inputs(graph, node, residual ? 3 : 2, dims.c, {"weight", "mean", "invstd"});
  expect_channel_outputs(graph, node, residual ? 2 : 1, dims.c, {"dweight", "dbias"});
  return dims;
}

BatchNorm expect_batch_norm_inference(const Graph& graph, const Node& node, Tail tail) {
  const size_t first = tail == Tail::add_relu ? 2 : 1;
  expect_counts(node, first + 4, 1);
  const ValueType& x = input_type(graph, node, 0);
  const Dims dims = expect_activation("x", x);
  if (tail == Tail::add_relu) expect_type("residual", input_type(graph, node, 1), x);
  expect_channel_inputs(graph, node, first, dims.c, {"weight", "bias", "running_mean", "running_var"});
  expect_type("y", output_type(graph, node, 0), x);
  return {dims, expect_number(node, "epsilon", 0, any_number), 0};
}

BatchNorm expect_batch_norm_inference_grad(const Graph& graph, const Node& node) {
  expect_counts(node, 5, 3);
  const ValueType& x = input_type(graph, node, 1);
  const Dims dims = expect_activation("x", x);
  expect_type("dy", input_type(graph, node, 0), x);
  expect_type("dx", output_type(graph, node, 0), x);
  expect_channel_inputs(graph, node, 2, dims.c, {"weight", "running_mean", "running_var"});
  expect_channel_outputs(graph, node, 1, dims.c, {"dweight", "dbias"});
  return {dims, expect_number(node, "epsilon", 0, any_number), 0};
}

double expect_fold_batch_norm(const Graph& graph, const Node& node) {
  expect_counts(node, 5, 2);
  const ValueType &w = input_type(graph, node, 0), &y = output_type(graph, node, 0);
  expect_float("y", y);
  expect(w.shape.size() == 4, "w must be [O, I / groups, kh, kw], not " + to_string(w.shape));
  expect_type("w", w, {DType::float32, Format::filter, w.shape});
  expect_type("y", y, {y.dtype, Format::filter, w.shape});
  expect_channel_inputs(graph, node, 1, w.shape[0], {"weight", "bias", "running_mean", "running_var"});
  expect_channel_outputs(graph, node, 1, w.shape[0], {"shift"});
  return expect_number(node, "epsilon", 0, any_number);
}

Update expect_update(const Graph& graph, const Node& node, size_t scalars, size_t states) {
  Update u = {};
  u.scaled = node.attributes.flag("scaled");
  u.first_gradient = scalars + (u.scaled ? 1 : 0);
  expect(node.inputs.size() > u.first_gradient, "there are no gradients");
  u.n = node.inputs.size() - u.first_gradient;
  expect_counts(node, node.inputs.size(), u.n * (1 + states));
  expect_type("learning_rate", input_type(graph, node, 0), scalar);
  if (u.scaled) expect_type("scale", input_type(graph, node, scalars), scalar);
  for (size_t i = 0; i < u.n; ++i) {
    const ValueType& w = output_type(graph, node, i);
    expect_type("a parameter", w, {DType::float32, w.format, w.shape});
    expect_type("a gradient", input_type(graph, node, u.first_gradient + i), w);
    for (size_t s = 1; s <= states; ++s) expect_type("a state", output_type(graph, node, s * u.n + i), w);
    u.counts.push_back(elements(w.shape));
  }
  return u;
}

const ValueType& expect_equal_types(const Graph& graph, const Node& node, size_t inputs, size_t outputs) {
  expect_counts(node, inputs, outputs);
  const ValueType& type = input_type(graph, node, 0);
  expect_float("the first input", type);
  for (size_t i = 1; i < inputs; ++i) expect_type("every input", input_type(graph, node, i), type);
  for (size_t i = 0; i < outputs; ++i) expect_type("every output", output_type(graph, node, i), type);
  return type;
}

void expect_softmax(const ValueType& x, const ValueType& y) {
  expect_matrix("x", x);
  expect_type("y", y, plain(DType::float32, x.shape));
}

double expect_softmax_cross_entropy(const Node& node, const ValueType& logits, const ValueType& labels,
                                    const ValueType& probabilities, const ValueType& loss) {
  expect_matrix("logits", logits);
  expect_type("labels", labels, plain(DType::int32, {logits.shape[0]}));
  expect_type("probabilities", probabilities, plain(DType::float32, logits.shape));
  expect_type("the loss or its gradient", loss, scalar);
  return expect_number(node, "smoothing", 0, 1);
}

double expect_sigmoid_cross_entropy(const Node& node, const ValueType& logits, const ValueType& targets,
                                    const ValueType& loss) {
  expect_matrix("logits", logits);
  if (targets.dtype == DType::int32)
    expect_type("labels", targets, plain(DType::int32, {logits.shape[0]}));
  else
    expect_type("targets", targets, plain(DType::float32, logits.shape));
  expect_type("the loss or its gradient", loss, scalar);
  return expect_number(node, "smoothing", 0, 1);
}

int64_t expect_topk_correct(const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType& logits = input_type(graph, node, 0);
  expect_matrix("logits", logits);
  expect_type("labels", input_type(graph, node, 1), plain(DType::int32, {logits.shape[0]}));
  expect_type("count", output_type(graph, node, 0), counter);
  return expect_integer(node, "k", 1);
}

void expect_ring_write(const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType &value = input_type(graph, node, 0), &ring = output_type(graph, node, 0);
  expect_type("value", value, plain(value.dtype, {1}));
  expect_type("step", input_type(graph, node, 1), counter);
  expect(ring.shape.size() == 1 && ring.shape[0] > 0, "ring must be [R], not " + to_string(ring.shape));
  expect_type("ring", ring, plain(value.dtype, ring.shape));
}

uint32_t expect_increment(const Graph& graph, const Node& node) {
  expect_counts(node, 0, 1);
  expect_type("counter", output_type(graph, node, 0), counter);
  return static_cast<uint32_t>(expect_integer(node, "by", std::numeric_limits<int32_t>::min()));
}

void expect_gather(const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType &table = input_type(graph, node, 0), &index = input_type(graph, node, 1);
  expect(table.format == Format::plain && !table.shape.empty() && table.shape[0] > 0,
         "the table must be plain with at least one row, not " + to_string(table.shape));
  expect(index.shape.size() == 1, "index must have one dimension, not " + to_string(index.shape));
  expect_type("index", index, plain(DType::int32, index.shape));
  Shape gathered = table.shape;
  gathered[0] = index.shape[0];
  expect_type("y", output_type(graph, node, 0), plain(table.dtype, gathered));
}

std::vector<double> expect_weighted_sum(const Graph& graph, const Node& node) {
  const size_t n = node.inputs.size();
  expect(n >= 1, "needs at least one value");
  expect_counts(node, n, 1);
  for (size_t i = 0; i < n; ++i) expect_type("every value", input_type(graph, node, i), scalar);
  expect_type("y", output_type(graph, node, 0), scalar);
  const std::vector<double>& weights = node.attributes.numbers("weights");
  expect(weights.size() == n, std::to_string(weights.size()) + " weights for " + std::to_string(n) + " values");
  return weights;
}

Dropout expect_dropout(const Graph& graph, const Node& node) {
  expect_counts(node, 3, 1);
  const ValueType& x = input_type(graph, node, 0);
  expect_float("x", x);
  expect(x.format != Format::filter, "x must be plain or an activation");
  expect_type("seed", input_type(graph, node, 1), counter);
  expect_type("step", input_type(graph, node, 2), counter);
  expect_type("y", output_type(graph, node, 0), x);
  const double p = expect_number(node, "p", 0, 1);
  expect(p < 1, "p must be below 1");
  return {p, static_cast<uint32_t>(expect_integer(node, "stream", 0))};
}

void expect_separable(const ValueType& w, const ValueType& depthwise, const ValueType& pointwise) {
  expect_type("w", w, {DType::float32, Format::filter, w.shape});
  expect(w.shape.size() == 4 && depthwise.shape.size() == 4, "filters have 4 dimensions");
  const int64_t outputs = w.shape[0], inputs = w.shape[1], between = depthwise.shape[0];
  expect(between % inputs == 0, "depthwise must have a multiple of the " + std::to_string(inputs) + " channels");
  expect_type("depthwise", depthwise, {DType::float32, Format::filter, {between, 1, w.shape[2], w.shape[3]}});
  expect_type("pointwise", pointwise, {DType::float32, Format::filter, {outputs, between, 1, 1}});
}

int64_t expect_slice_channels(const Graph& graph, const Node& node) {
  expect_counts(node, 1, 1);
  const ValueType &x = input_type(graph, node, 0), &y = output_type(graph, node, 0);
  const Dims from = expect_activation("x", x), to = expect_activation("y", y);
  expect_type("y", y, {x.dtype, Format::activation, {from.n, to.c, from.h, from.w}});
  const int64_t begin = expect_integer(node, "begin", 0);
  expect(begin <= from.c - to.c, "x has no channels up to " + std::to_string(begin) + " + " + std::to_string(to.c));
  return begin;
}

std::vector<int64_t> expect_subsample(const Node& node, const ValueType& x, const ValueType& y) {
  expect_counts(node, 1, 1);
  const std::vector<int64_t> stride = expect_integers(node, "stride", 2, 1);
  const Dims in = expect_activation("x", x), out = expect_activation("y", y);
  expect(out.c >= in.c, "y has fewer channels than x");
  expect_type("y", y,
              {x.dtype,
               Format::activation,
               {in.n, out.c, (in.h + stride[0] - 1) / stride[0], (in.w + stride[1] - 1) / stride[1]}});
  return stride;
}

LocalResponseNorm expect_local_response_norm(const Node& node, const ValueType& x) {
  const LocalResponseNorm norm = {expect_activation("x", x), expect_integer(node, "size", 1),
                                  expect_number(node, "alpha", 0, any_number),
                                  expect_number(node, "beta", 0, any_number), expect_number(node, "k", 0, any_number)};
  expect(norm.size % 2 == 1, "size must be odd, not " + std::to_string(norm.size));
  expect(norm.k > 0 && std::pow(norm.k, -norm.beta) < any_number,
         "k must be above 0, and k to the power of -beta below 1e30");
  return norm;
}

std::vector<int64_t> expect_clip_grad_norm(const Graph& graph, const Node& node) {
  expect(!node.inputs.empty(), "there are no gradients");
  expect_counts(node, node.inputs.size(), 2);
  expect_type("norm", output_type(graph, node, 0), scalar);
  expect_type("scale", output_type(graph, node, 1), scalar);
  expect(node.attributes.number("max_norm") > 0, "max_norm must be positive");
  std::vector<int64_t> counts;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ValueType& gradient = input_type(graph, node, i);
    expect_type("a gradient", gradient, {DType::float32, gradient.format, gradient.shape});
    counts.push_back(elements(gradient.shape));
  }
  return counts;
}

std::vector<int64_t> expect_ema_update(const Graph& graph, const Node& node) {
  expect(node.inputs.size() >= 2, "there are no values to average");
  expect_counts(node, node.inputs.size(), node.inputs.size() - 1);
  expect_type("step", input_type(graph, node, 0), counter);
  std::vector<int64_t> counts;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueType& average = output_type(graph, node, i);
    expect_type("an average", average, {DType::float32, average.format, average.shape});
    expect_type("a value", input_type(graph, node, 1 + i), average);
    counts.push_back(elements(average.shape));
  }
  return counts;
}

}  // namespace node_cudnn
