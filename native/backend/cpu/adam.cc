#include <cmath>

#include "backend/cpu/ops.h"
#include "backend/cpu/simd/simd.h"
#include "backend/cpu/update.h"

namespace node_cudnn::cpu {
namespace {

struct Rule {
  double beta1, beta2, epsilon, weight_decay;
  bool decoupled;
};

Rule rule_of(const Node& node) {
  const Rule rule = {expect_number(node, "beta1", 0, 1), expect_number(node, "beta2", 0, 1),
                     expect_number(node, "epsilon", 0, 1e30), expect_number(node, "weight_decay", 0, 1e30),
                     node.attributes.flag("decoupled")};
  expect(rule.beta1 < 1 && rule.beta2 < 1, "attributes beta1 and beta2 must be below 1");
  return rule;
}

// What does not depend on the element, in double: 1 - beta loses its digits in float32.
simd::AdamStep step_of(const Rule& r, double rate, float scale, int32_t steps_before) {
  const double t = steps_before + 1.0;
  simd::AdamStep step = {};
  step.scale = scale;
  step.penalty = static_cast<float>(r.decoupled ? 0 : r.weight_decay);
  step.keep = static_cast<float>(r.decoupled ? 1 - rate * r.weight_decay : 1);
  step.rate = static_cast<float>(rate / (1 - std::pow(r.beta1, t)));
  step.root = static_cast<float>(1 / std::sqrt(1 - std::pow(r.beta2, t)));
  step.epsilon = static_cast<float>(r.epsilon);
  step.beta1 = static_cast<float>(r.beta1);
  step.beta2 = static_cast<float>(r.beta2);
  step.share1 = static_cast<float>(1 - r.beta1);
  step.share2 = static_cast<float>(1 - r.beta2);
  return step;
}

}  // namespace

Prepared prepare_adam_update(const Cpu& cpu, const Graph& graph, const Node& node) {
  const Update u = {expect_update(graph, node, 2, 2)};
  expect_type("step", input_type(graph, node, 1), plain(DType::int32, {1}));
  const auto run = [u, rule = rule_of(node), threads = cpu.threads, work = stretches(u.counts),
                    &adam = *simd::optimizer(cpu.isa).adam](const Arguments& a) {
    const simd::AdamStep step = step_of(rule, double{u.rate(a)}, u.scale(a), *input<int32_t>(a, 1));
    parallel_stretches(threads, work, [&](size_t, const Stretch& s) {
      adam(step, u.gradient(a, s.value), u.weight(a, s.value), u.state(a, 0, s.value), u.state(a, 1, s.value), s.begin,
           s.end);
    });
  };
  return prepared(simd_name(cpu), run);
}

}  // namespace node_cudnn::cpu
