#include "backend/cpu/ops.h"
#include "backend/cpu/simd/simd.h"
#include "backend/cpu/update.h"

namespace node_cudnn::cpu {
namespace {

simd::SgdStep rule_of(const Node& node) {
  simd::SgdStep step = {};
  step.weight_decay = rule_number(node, "weight_decay");
  step.momentum = rule_number(node, "momentum");
  step.nesterov = node.attributes.flag("nesterov");
  return step;
}

}  // namespace

Prepared prepare_sgd_update(const Cpu& cpu, const Graph& graph, const Node& node) {
  const simd::SgdStep rule = rule_of(node);
  const bool has_momentum = rule.momentum != 0;
  const Update u = {expect_update(graph, node, 1, has_momentum ? 1 : 0)};
  const auto run = [u, rule, has_momentum, threads = cpu.threads, work = stretches(u.counts),
                    &kernels = simd::optimizer(cpu.isa)](const Arguments& a) {
    simd::SgdStep step = rule;
    step.learning_rate = u.rate(a);
    step.scale = u.scale(a);
    parallel_stretches(threads, work, [&](size_t, const Stretch& s) {
      const float* g = u.gradient(a, s.value);
      float* w = u.weight(a, s.value);
      if (has_momentum)
        kernels.sgd_momentum(step, g, w, u.state(a, 0, s.value), s.begin, s.end);
      else
        kernels.sgd(step, g, w, s.begin, s.end);
    });
  };
  return prepared(simd_name(cpu), run);
}

}  // namespace node_cudnn::cpu
