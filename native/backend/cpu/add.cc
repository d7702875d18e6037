#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"
#include "backend/cpu/simd/simd.h"

namespace node_cudnn::cpu {

Prepared prepare_add(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType& a = input_type(graph, node, 0);
  expect_float("a", a);
  expect_type("b", input_type(graph, node, 1), a);
  expect_type("y", output_type(graph, node, 0), a);
  const auto run = [threads = cpu.threads, count = elements(a.shape),
                    &add = *simd::element(cpu.isa, a.dtype).add](const Arguments& args) {
    parallel_elements(threads, count, [&](int64_t begin, int64_t end) {
      add(args.inputs[0], args.inputs[1], args.outputs[0], begin, end);
    });
  };
  return prepared(simd_name(cpu), run, 0, {{0, 0}, {0, 1}});
}

}  // namespace node_cudnn::cpu
