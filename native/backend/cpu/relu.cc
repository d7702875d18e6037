#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"
#include "backend/cpu/simd/simd.h"

namespace node_cudnn::cpu {

Prepared prepare_relu(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 1);
  const ValueType& x = input_type(graph, node, 0);
  expect_float("x", x);
  expect_type("y", output_type(graph, node, 0), x);
  const auto run = [threads = cpu.threads, count = elements(x.shape),
                    &relu = *simd::element(cpu.isa, x.dtype).relu](const Arguments& a) {
    parallel_elements(threads, count, [&](int64_t begin, int64_t end) { relu(a.inputs[0], a.outputs[0], begin, end); });
  };
  return prepared(simd_name(cpu), run, 0, {{0, 0}});
}

Prepared prepare_relu_grad(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType& dy = input_type(graph, node, 0);
  expect_float("dy", dy);
  expect_type("y", input_type(graph, node, 1), dy);
  expect_type("dx", output_type(graph, node, 0), dy);
  const auto run = [threads = cpu.threads, count = elements(dy.shape),
                    &relu_grad = *simd::element(cpu.isa, dy.dtype).relu_grad](const Arguments& a) {
    parallel_elements(threads, count, [&](int64_t begin, int64_t end) {
      relu_grad(a.inputs[0], a.inputs[1], a.outputs[0], begin, end);
    });
  };
  return prepared(simd_name(cpu), run, 0, {{0, 0}, {0, 1}});
}

}  // namespace node_cudnn::cpu
