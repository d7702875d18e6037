#include "backend/cpu/kernel.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/ops.h"

namespace node_cudnn::cpu {

namespace {

// Only filters lie differently in memory when their dtype changes.
Desc cast_desc(const Cpu& cpu, const ValueType& type) {
  return type.format == Format::filter ? describe(cpu, type) : dense({elements(type.shape)}, data_type(type.dtype));
}

}  // namespace

Prepared prepare_cast(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 1);
  const ValueType &x = input_type(graph, node, 0), &y = output_type(graph, node, 0);
  expect_float("y", y);
  expect_type("y", y, {y.dtype, x.format, x.shape});
  const Operand from = input(0, cast_desc(cpu, x)), to = output(0, cast_desc(cpu, y));
  const dnnl::reorder::primitive_desc desc(engine(), from.desc, engine(), to.desc, strict_attributes());
  Chain chain;
  chain.add(desc, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
  return std::move(chain).finish(desc.impl_info_str());
}

}  // namespace node_cudnn::cpu
