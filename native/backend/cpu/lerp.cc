#include "backend/cpu/element.h"
#include "backend/cpu/ops.h"

namespace node_cudnn::cpu {

Prepared prepare_lerp(const Cpu& cpu, const Graph& graph, const Node& node) {
  const ValueType& type = expect_equal_types(graph, node, 3, 1);
  const auto run = [threads = cpu.threads, count = elements(type.shape),
                    lerp = simd::element(cpu.isa, type.dtype).lerp](const Arguments& a) {
    parallel_elements(threads, count, [&](int64_t begin, int64_t end) {
      lerp(a.inputs[0], a.inputs[1], a.inputs[2], a.outputs[0], begin, end);
    });
  };
  return prepared(simd_name(cpu), run, 0, {{0, 0}, {0, 1}, {0, 2}});
}

Prepared prepare_lerp_grad(const Cpu& cpu, const Graph& graph, const Node& node) {
  const ValueType& type = expect_equal_types(graph, node, 4, 3);
  const auto run = [threads = cpu.threads, count = elements(type.shape),
                    lerp_grad = simd::element(cpu.isa, type.dtype).lerp_grad](const Arguments& a) {
    parallel_elements(threads, count, [&](int64_t begin, int64_t end) { lerp_grad(a.inputs, a.outputs, begin, end); });
  };
  return prepared(simd_name(cpu), run, 0, {{0, 0}, {1, 2}, {2, 3}});
}

}  // namespace node_cudnn::cpu
