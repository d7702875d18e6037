#include <cmath>

#include "backend/cpu/ops.h"
#include "backend/cpu/simd/simd.h"
#include "backend/cpu/update.h"

namespace node_cudnn::cpu {
namespace {

struct Rule {
  float momentum, weight_decay, trust;
};

struct Norms {
  double weight, gradient;
};

double trust_ratio(const Rule& rule, const Norms& norms) {
  if (norms.weight == 0 || norms.gradient == 0) return 1;
  return double{rule.trust} * norms.weight / (norms.gradient + double{rule.weight_decay} * norms.weight);
}

// The sums of the stretches, added in their order: for every number of threads the same.
void add_up(const std::vector<Stretch>& work, const Norms* squares, std::vector<Norms>& norms) {
  for (Norms& norm : norms) norm = {};
  for (size_t i = 0; i < work.size(); ++i) {
    norms[work[i].value].weight += squares[i].weight;
    norms[work[i].value].gradient += squares[i].gradient;
  }
  for (Norms& norm : norms) norm = {std::sqrt(norm.weight), std::sqrt(norm.gradient)};
}

}  // namespace

Prepared prepare_lars_update(const Cpu& cpu, const Graph& graph, const Node& node) {
  const Update u = {expect_update(graph, node, 1, 1)};
  const Rule rule = {rule_number(node, "momentum"), rule_number(node, "weight_decay"), rule_number(node, "trust")};
  auto work = stretches(u.counts);
  const size_t workspace = work.size() * sizeof(Norms);
  auto run = [u, rule, threads = cpu.threads, work = std::move(work), norms = std::vector<Norms>(u.n),
              &kernels = simd::optimizer(cpu.isa)](const Arguments& a) mutable {
    auto* squares = static_cast<Norms*>(a.workspace);
    parallel_stretches(threads, work, [&](size_t i, const Stretch& s) {
      squares[i] = {kernels.sum_of_squares(u.weight(a, s.value), s.begin, s.end),
                    kernels.sum_of_squares(u.gradient(a, s.value), s.begin, s.end)};
    });
    add_up(work, squares, norms);
    const float scale = u.scale(a);
    parallel_stretches(threads, work, [&](size_t, const Stretch& s) {
      const Norms scaled = {norms[s.value].weight, std::abs(double{scale}) * norms[s.value].gradient};
      const auto local_rate = static_cast<float>(double{u.rate(a)} * trust_ratio(rule, scaled));
      kernels.lars({scale, rule.weight_decay, rule.momentum, local_rate}, u.gradient(a, s.value), u.weight(a, s.value),
                   u.state(a, 0, s.value), s.begin, s.end);
    });
  };
  return prepared(simd_name(cpu), std::move(run), workspace);
}

}  // namespace node_cudnn::cpu
