// What the operands and attributes of an op must be, for ops that every back end computes in its own way.
#pragma once

#include <type_traits>

#include "backend/common/expect.h"
#include "backend/common/window.h"

namespace node_cudnn {

// Of a convolution, in whichever pass: x, w and y may each be what it computes.
struct Convolving {
  Window window;
  int64_t groups;
};
Convolving expect_convolution(const Node& node, const ValueType& x, const ValueType& w, const ValueType& y);

// y = relu(conv(x, w) + bias + residual), each where it is given. Numbers of the inputs, which are x, w, [bias],
// [residual]; 0: not given.
struct Epilogue {
  size_t bias = 0, residual = 0;
  bool relu = false;
};
Epilogue expect_epilogue(const Graph& graph, const Node& node, bool adds, bool rectifies);

void expect_linear(const ValueType& x, const ValueType& w, const ValueType& y);

// The last window of a pooling may run over the padded edge (ceil mode), but must start before the far padding.
Window expect_pooling(const Node& node, const ValueType& x, const ValueType& y);
Dims expect_global_pooling(const Node& node, const ValueType& x, const ValueType& y);

// Calls f with a std::type_identity of what the index of a maximum is stored in: uint8 where it counts all taps of
// `window`, which is a Window or what a device makes of it.
template <class Windows, class Function>
Prepared with_index(const Windows& window, const ValueType& index, const ValueType& y, Function&& f) {
  const bool small = window.h.kernel <= 256 / window.w.kernel;
  expect_type("index", index, {small ? DType::uint8 : DType::int32, Format::activation, y.shape});
  if (small) return f(std::type_identity<uint8_t>{});
  return f(std::type_identity<int32_t>{});
}

// What follows a batch norm within one op. With add_relu_mask, what the ReLU lets through is kept as bits: of a pixel,
// a byte for eight channels, the first in its lowest bit.
enum class Tail : uint8_t { none, relu, add_relu, add_relu_mask };
constexpr bool adds(Tail tail) { return tail == Tail::add_relu || tail == Tail::add_relu_mask; }

struct BatchNorm {
  Dims dims;
  double epsilon, momentum;  // momentum: of training
};
Dims expect_batch(const ValueType& x);  // an activation of more than one value per channel
BatchNorm expect_batch_norm(const Graph& graph, const Node& node, Tail tail, bool summed = false);
Dims expect_batch_norm_grad(const Graph& graph, const Node& node, Tail tail);
BatchNorm expect_batch_norm_inference(const Graph& graph, const Node& node, Tail tail);
BatchNorm expect_batch_norm_inference_grad(const Graph& graph, const Node& node);
double expect_fold_batch_norm(const Graph& graph, const Node& node);  // returns epsilon

// An update of parameters: scalars, of which the first is the learning rate, a scale where there is one, and n
// gradients come in; n weights and as many of each state are read and written in place.
struct Update {
  size_t n, first_gradient;
  bool scaled;
  std::vector<int64_t> counts;
};
Update expect_update(const Graph& graph, const Node& node, size_t scalars, size_t states);

// All inputs and outputs are of one type, which is returned.
const ValueType& expect_equal_types(const Graph& graph, const Node& node, size_t inputs, size_t outputs);

// [N, K], whatever is done with them; `loss` is the loss or its gradient. Return the smoothing.
void expect_softmax(const ValueType& x, const ValueType& y);
double expect_softmax_cross_entropy(const Node& node, const ValueType& logits, const ValueType& labels,
                                    const ValueType& probabilities, const ValueType& loss);
// `targets` are int32 labels or float32 numbers.
double expect_sigmoid_cross_entropy(const Node& node, const ValueType& logits, const ValueType& targets,
                                    const ValueType& loss);
int64_t expect_topk_correct(const Graph& graph, const Node& node);  // returns k

void expect_ring_write(const Graph& graph, const Node& node);
uint32_t expect_increment(const Graph& graph, const Node& node);  // returns by how much
void expect_gather(const Graph& graph, const Node& node);
std::vector<double> expect_weighted_sum(const Graph& graph, const Node& node);  // returns the weights

struct Dropout {
  double p;
  uint32_t stream;
};
Dropout expect_dropout(const Graph& graph, const Node& node);

void expect_separable(const ValueType& w, const ValueType& depthwise, const ValueType& pointwise);
int64_t expect_slice_channels(const Graph& graph, const Node& node);                              // returns the first
std::vector<int64_t> expect_subsample(const Node& node, const ValueType& x, const ValueType& y);  // returns the stride

struct LocalResponseNorm {
  Dims dims;
  int64_t size;
  double alpha, beta, k;
};
LocalResponseNorm expect_local_response_norm(const Node& node, const ValueType& x);

// Both return the sizes of the values that belong to one another.
std::vector<int64_t> expect_clip_grad_norm(const Graph& graph, const Node& node);
std::vector<int64_t> expect_ema_update(const Graph& graph, const Node& node);

}  // namespace node_cudnn
