// Matrix products over oneDNN. Every operand is a dense matrix; a transposed one differs in its strides alone.
#include "backend/cpu/kernel.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/ops.h"

namespace node_cudnn::cpu {

namespace {

void expect_sizes(const Cpu& cpu, const ValueType& x, const ValueType& w, const ValueType& y) {
  expect_linear(x, w, y);
  expect_products(cpu, x.dtype);
}

Desc matrix(const ValueType& type) { return dense(type.shape, data_type(type.dtype)); }

Desc transposed(const ValueType& type) {
  return {{type.shape[1], type.shape[0]}, data_type(type.dtype), Shape{1, type.shape[1]}};
}

// c = a b (+ bias, a row)
Prepared matmul(const Operand& a, const Operand& b, const Operand& c, const Operand* bias = nullptr) {
  using Product = dnnl::matmul::primitive_desc;
  const auto attributes = strict_attributes();
  const Product desc = bias ? Product(engine(), a.desc, b.desc, bias->desc, c.desc, attributes)
                            : Product(engine(), a.desc, b.desc, c.desc, attributes);
  Chain::Arguments arguments = {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}};
  if (bias) arguments.emplace_back(DNNL_ARG_BIAS, *bias);
  Chain chain;
  chain.add(desc, arguments);
  return std::move(chain).finish(desc.impl_info_str());
}

}  // namespace

Prepared prepare_linear(const Cpu& cpu, const Graph& graph, const Node& node) {
  const bool biased = node.inputs.size() == 3;
  expect_counts(node, biased ? 3 : 2, 1);
  const ValueType &x = input_type(graph, node, 0), &w = input_type(graph, node, 1), &y = output_type(graph, node, 0);
  expect_sizes(cpu, x, w, y);
  expect_type("weight", w, plain(x.dtype, w.shape));
  if (!biased) return matmul(input(0, matrix(x)), input(1, transposed(w)), output(0, matrix(y)));
  expect_type("bias", input_type(graph, node, 2), plain(DType::float32, {w.shape[0]}));
  const Operand bias = input(2, dense({1, w.shape[0]}, data_type(DType::float32)));
  return matmul(input(0, matrix(x)), input(1, transposed(w)), output(0, matrix(y)), &bias);
}

Prepared prepare_linear_dgrad(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType &dy = input_type(graph, node, 0), &w = input_type(graph, node, 1), &dx = output_type(graph, node, 0);
  expect_sizes(cpu, dx, w, dy);
  expect_type("weight", w, plain(dy.dtype, w.shape));
  return matmul(input(0, matrix(dy)), input(1, matrix(w)), output(0, matrix(dx)));
}

Prepared prepare_linear_wgrad(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType &x = input_type(graph, node, 0), &dy = input_type(graph, node, 1), &dw = output_type(graph, node, 0);
  expect_sizes(cpu, x, dw, dy);
  expect_type("dw", dw, plain(DType::float32, dw.shape));
  return matmul(input(1, transposed(dy)), input(0, matrix(x)), output(0, matrix(dw)));
}

}  // namespace node_cudnn::cpu
