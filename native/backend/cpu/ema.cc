#include <cstring>
#include <vector>

#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"
#include "backend/cpu/simd/simd.h"

namespace node_cudnn::cpu {

Prepared prepare_ema_update(const Cpu& cpu, const Graph& graph, const Node& node) {
  const auto share = static_cast<float>(1 - expect_number(node, "decay", 0, 1));
  const auto run = [share, threads = cpu.threads, work = stretches(expect_ema_update(graph, node)),
                    &average = *simd::optimizer(cpu.isa).average](const Arguments& a) {
    const bool first = *input<int32_t>(a, 0) == 0;
    parallel_stretches(threads, work, [&](size_t, const Stretch& s) {
      const float* value = input<float>(a, 1 + s.value);
      float* mean = output<float>(a, s.value);
      if (first)
        std::memcpy(mean + s.begin, value + s.begin, static_cast<size_t>(s.end - s.begin) * sizeof(float));
      else
        average(share, value, mean, s.begin, s.end);
    });
  };
  return prepared(simd_name(cpu), run);
}

}  // namespace node_cudnn::cpu
