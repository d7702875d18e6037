#include <cmath>
#include <vector>

#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"
#include "backend/cpu/simd/simd.h"

namespace node_cudnn::cpu {

Prepared prepare_clip_grad_norm(const Cpu& cpu, const Graph& graph, const Node& node) {
  auto work = stretches(expect_clip_grad_norm(graph, node));
  const double max_norm = node.attributes.number("max_norm");
  const size_t workspace = work.size() * sizeof(double);
  const auto run = [max_norm, threads = cpu.threads, work = std::move(work),
                    &sum_of_squares = *simd::optimizer(cpu.isa).sum_of_squares](const Arguments& a) {
    auto* squares = static_cast<double*>(a.workspace);
    parallel_stretches(threads, work, [&](size_t i, const Stretch& s) {
      squares[i] = sum_of_squares(input<float>(a, s.value), s.begin, s.end);
    });
    double total = 0;
    for (size_t i = 0; i < work.size(); ++i) total += squares[i];
    const double norm = std::sqrt(total), scale = max_norm / (norm + 1e-6);
    *output<float>(a, 0) = static_cast<float>(norm);
    *output<float>(a, 1) = scale > 1 ? 1.0f : static_cast<float>(scale);  // a NaN passes
  };
  return prepared(simd_name(cpu), run, workspace);
}

}  // namespace node_cudnn::cpu
