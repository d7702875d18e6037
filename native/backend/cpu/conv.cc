// Convolution and its gradients over oneDNN. Activations and filters keep the layouts of describe(); where a primitive
// wants the (small) filter in another blocking, it is reordered in the workspace in every step.
#include <array>
#include <string_view>

#include "backend/cpu/depthwise.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/ops.h"
#include "backend/cpu/winograd.h"

namespace node_cudnn::cpu {

namespace {

using dnnl::convolution_backward_data;
using dnnl::convolution_backward_weights;
using dnnl::convolution_forward;

struct Geometry {
  Shape stride, dilation, begin, end;
  int64_t groups;
};

Geometry geometry(const Cpu& cpu, const Node& node, const ValueType& x, const ValueType& w, const ValueType& y) {
  const auto [window, groups] = expect_convolution(node, x, w, y);
  expect_products(cpu, x.dtype);
  const auto& [h, v] = window;
  // oneDNN's dilation counts the skipped elements
  return {{h.stride, v.stride}, {h.dilation - 1, v.dilation - 1}, {h.before, v.before}, {h.after, v.after}, groups};
}

bool is_reference(const dnnl::primitive_desc_base& desc) {
  return std::string_view(desc.impl_info_str()).substr(0, 3) == "ref";
}

// Our layouts first, then oneDNN's choice for either activation: its plain loops are 10 to 20 times slower than the
// optimised code with two reorders.
template <class Make>
auto choose(const Make& make, const Desc& a, const Desc& b) {
  const Desc any_a = any_layout(a), any_b = any_layout(b);
  const std::array<std::pair<const Desc*, const Desc*>, 4> candidates = {
      {{&a, &b}, {&any_a, &b}, {&a, &any_b}, {&any_a, &any_b}}};
  decltype(make(a, b)) fallback;
  for (const auto& [first, second] : candidates) {
    auto desc = make(*first, *second);
    if (desc && !is_reference(desc)) return desc;
    if (desc && !fallback) fallback = desc;
  }
  expect(static_cast<bool>(fallback), "oneDNN has no implementation of this convolution");
  return fallback;
}

Shape filter_dims(const Shape& filter, int64_t groups) {
  if (groups == 1) return filter;
  return {groups, filter[0] / groups, filter[1], filter[2], filter[3]};
}

Desc any_filter(const ValueType& filter, const Geometry& g) {
  return {filter_dims(filter.shape, g.groups), data_type(filter.dtype), dnnl::memory::format_tag::any};
}

// A filter in memory, split into groups where its blocks allow it.
Operand grouped(const Cpu& cpu, const ValueType& type, const Geometry& g, const Operand& filter) {
  return g.groups == 1 ? filter : filter.seen_as(describe_grouped(cpu, type, g.groups));
}

// A dense copy in the workspace, which can always be split.
Operand dense_filter(Chain& chain, const ValueType& type) {
  return chain.scratch(dense(type.shape, data_type(type.dtype)));
}

Operand dense_grouped(const ValueType& type, const Geometry& g, const Operand& filter) {
  return filter.seen_as(dense(filter_dims(type.shape, g.groups), data_type(type.dtype)));
}

// Input 1 as the primitive wants it.
Operand load_filter(Chain& chain, const Cpu& cpu, const ValueType& type, const Geometry& g, const Desc& wanted) {
  const Operand filter = input(1, describe(cpu, type));
  if (can_group(cpu, type, g.groups)) return chain.reordered(grouped(cpu, type, g, filter), wanted);
  const Operand copy = dense_filter(chain, type);
  chain.reorder(filter, copy);
  return chain.reordered(dense_grouped(type, g, copy), wanted);
}

// Where a primitive writes: the output itself, or scratch where the layouts differ.
Operand target(Chain& chain, const Operand& to, const Desc& written) {
  return to.desc == written ? to : chain.scratch(written);
}

Operand filter_target(Chain& chain, const Cpu& cpu, const ValueType& type, const Geometry& g, const Desc& written) {
  if (!can_group(cpu, type, g.groups)) return chain.scratch(written);
  return target(chain, grouped(cpu, type, g, output(0, describe(cpu, type))), written);
}

// Brings what filter_target received to output 0.
void store_filter(Chain& chain, const Cpu& cpu, const ValueType& type, const Geometry& g, const Operand& written) {
  const Operand filter = output(0, describe(cpu, type));
  if (can_group(cpu, type, g.groups)) return chain.reorder(written, grouped(cpu, type, g, filter));
  const Operand copy = dense_filter(chain, type);
  chain.reorder(written, dense_grouped(type, g, copy));
  chain.reorder(copy, filter);
}

constexpr auto direct = dnnl::algorithm::convolution_direct;

convolution_forward::primitive_desc forward_desc(const Geometry& g, const Desc& x, const Desc& w, const Desc& bias,
                                                 const Desc& y,
                                                 const dnnl::primitive_attr& attributes = strict_attributes()) {
  const auto kind = dnnl::prop_kind::forward_training;
  if (bias.is_zero()) return {engine(), kind, direct, x, w, y, g.stride, g.dilation, g.begin, g.end, attributes, true};
  return {engine(), kind, direct, x, w, bias, y, g.stride, g.dilation, g.begin, g.end, attributes, true};
}

// The bias is an operand of the primitive. oneDNN's ReLU makes 0 of a NaN, other than the op `relu`.
dnnl::primitive_attr attributes_of(const Epilogue& epilogue, const Desc& y) {
  dnnl::post_ops operations;
  if (epilogue.residual) operations.append_binary(dnnl::algorithm::binary_add, y);
  if (epilogue.relu) operations.append_eltwise(dnnl::algorithm::eltwise_relu, 0, 0);
  dnnl::primitive_attr attributes = strict_attributes();
  attributes.set_post_ops(operations);
  return attributes;
}

constexpr int residual_argument = DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1;

// What would leave oneDNN with its plain loops, in a pass of its own: y = relu(y + residual).
void rectify(Chain& chain, const Epilogue& epilogue, const Operand& y) {
  if (epilogue.residual) {
    const auto attributes = attributes_of({.bias = 0, .residual = 0, .relu = true}, y.desc);
    const dnnl::binary::primitive_desc sum(engine(), dnnl::algorithm::binary_add, y.desc, y.desc, y.desc, attributes);
    chain.add(sum, {{DNNL_ARG_SRC_0, y}, {DNNL_ARG_SRC_1, input(epilogue.residual, y.desc)}, {DNNL_ARG_DST, y}});
  } else {
    const dnnl::eltwise_forward::primitive_desc relu(engine(), dnnl::prop_kind::forward_inference,
                                                     dnnl::algorithm::eltwise_relu, y.desc, y.desc, 0, 0,
                                                     strict_attributes());
    chain.add(relu, {{DNNL_ARG_SRC, y}, {DNNL_ARG_DST, y}});
  }
}

// Gradients ask for a forward descriptor as a hint; any layout will do.
convolution_forward::primitive_desc hint(const Geometry& g, const Desc& x, const Desc& w, const Desc& y) {
  const Desc filter(w.get_dims(), x.get_data_type(), dnnl::memory::format_tag::any);
  auto desc = forward_desc(g, any_layout(x), filter, {}, any_layout(y));
  expect(static_cast<bool>(desc), "oneDNN has no implementation of this convolution");
  return desc;
}

Prepared prepare_forward(const Cpu& cpu, const Graph& graph, const Node& node, const Epilogue& epilogue) {
  const ValueType &x = input_type(graph, node, 0), &w = input_type(graph, node, 1), &y = output_type(graph, node, 0);
  const Geometry g = geometry(cpu, node, x, w, y);
  if (Prepared fast = winograd_conv2d(cpu, graph, node, epilogue); fast.kernel) return fast;
  if (!epilogue.relu)
    if (Prepared fast = depthwise_conv2d(cpu, graph, node); fast.kernel) return fast;

  const Operand from = input(0, describe(cpu, x)), to = output(0, describe(cpu, y));
  const Desc filter = any_filter(w, g), bias = epilogue.bias ? describe(cpu, input_type(graph, node, 2)) : Desc();
  const auto choose_with = [&](const Epilogue& fused) {
    const dnnl::primitive_attr attributes = attributes_of(fused, to.desc);
    return choose([&](const Desc& a, const Desc& b) { return forward_desc(g, a, filter, bias, b, attributes); },
                  from.desc, to.desc);
  };
  auto desc = choose_with(epilogue);
  const auto plain = epilogue.relu && is_reference(desc) ? choose_with({}) : desc;
  const bool apart = is_reference(desc) && !is_reference(plain);
  if (apart) desc = plain;

  Chain chain;
  const Operand result = target(chain, to, desc.dst_desc());
  Chain::Arguments arguments = {{DNNL_ARG_SRC, chain.reordered(from, desc.src_desc())},
                                {DNNL_ARG_WEIGHTS, load_filter(chain, cpu, w, g, desc.weights_desc())},
                                {DNNL_ARG_DST, result}};
  if (epilogue.bias) arguments.emplace_back(DNNL_ARG_BIAS, input(epilogue.bias, bias));
  if (epilogue.residual && !apart) arguments.emplace_back(residual_argument, input(epilogue.residual, to.desc));
  chain.add(desc, arguments);
  chain.reorder(result, to);
  if (apart) rectify(chain, epilogue, to);
  return std::move(chain).finish(std::string(desc.impl_info_str()) + (apart ? ", relu apart" : ""));
}

}  // namespace

Prepared prepare_conv2d(const Cpu& cpu, const Graph& graph, const Node& node) {
  return prepare_forward(cpu, graph, node, expect_epilogue(graph, node, false, false));
}
Prepared prepare_conv2d_relu(const Cpu& cpu, const Graph& graph, const Node& node) {
  return prepare_forward(cpu, graph, node, expect_epilogue(graph, node, false, true));
}
Prepared prepare_conv2d_add_relu(const Cpu& cpu, const Graph& graph, const Node& node) {
  return prepare_forward(cpu, graph, node, expect_epilogue(graph, node, true, true));
}

Prepared prepare_conv2d_dgrad(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType &dy = input_type(graph, node, 0), &w = input_type(graph, node, 1), &dx = output_type(graph, node, 0);
  const Geometry g = geometry(cpu, node, dx, w, dy);
  expect_type("weight", w, {dy.dtype, Format::filter, w.shape});
  if (Prepared fast = winograd_conv2d_dgrad(cpu, graph, node); fast.kernel) return fast;
  if (Prepared fast = depthwise_conv2d_dgrad(cpu, graph, node); fast.kernel) return fast;

  const Operand from = input(0, describe(cpu, dy)), to = output(0, describe(cpu, dx));
  const Desc filter = any_filter(w, g);
  const auto forward = hint(g, to.desc, filter, from.desc);
  const auto desc = choose(
      [&](const Desc& a, const Desc& b) {
        return convolution_backward_data::primitive_desc(engine(), direct, b, filter, a, g.stride, g.dilation, g.begin,
                                                         g.end, forward, strict_attributes(), true);
      },
      from.desc, to.desc);

  Chain chain;
  const Operand result = target(chain, to, desc.diff_src_desc());
  chain.add(desc, {{DNNL_ARG_DIFF_DST, chain.reordered(from, desc.diff_dst_desc())},
                   {DNNL_ARG_WEIGHTS, load_filter(chain, cpu, w, g, desc.weights_desc())},
                   {DNNL_ARG_DIFF_SRC, result}});
  chain.reorder(result, to);
  return std::move(chain).finish(desc.impl_info_str());
}

Prepared prepare_conv2d_wgrad(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType &x = input_type(graph, node, 0), &dy = input_type(graph, node, 1), &dw = output_type(graph, node, 0);
  const Geometry g = geometry(cpu, node, x, dw, dy);
  expect_type("dw", dw, {DType::float32, Format::filter, dw.shape});
  if (Prepared fast = winograd_conv2d_wgrad(cpu, graph, node); fast.kernel) return fast;
  if (Prepared fast = depthwise_conv2d_wgrad(cpu, graph, node); fast.kernel) return fast;

  const Operand image = input(0, describe(cpu, x)), gradient = input(1, describe(cpu, dy));
  const Desc filter = any_filter(dw, g);
  const auto forward = hint(g, image.desc, filter, gradient.desc);
  const auto desc = choose(
      [&](const Desc& a, const Desc& b) {
        return convolution_backward_weights::primitive_desc(engine(), direct, a, filter, b, g.stride, g.dilation,
                                                            g.begin, g.end, forward, strict_attributes(), true);
      },
      image.desc, gradient.desc);

  Chain chain;
  const Operand result = filter_target(chain, cpu, dw, g, desc.diff_weights_desc());
  chain.add(desc, {{DNNL_ARG_SRC, chain.reordered(image, desc.src_desc())},
                   {DNNL_ARG_DIFF_DST, chain.reordered(gradient, desc.diff_dst_desc())},
                   {DNNL_ARG_DIFF_WEIGHTS, result}});
  store_filter(chain, cpu, dw, g, result);
  return std::move(chain).finish(desc.impl_info_str());
}

}  // namespace node_cudnn::cpu
