#include <cstring>
#include <vector>

#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"
#include "backend/cpu/simd/simd.h"

namespace node_cudnn::cpu {
namespace {

std::vector<int64_t> check_averages(const Graph& graph, const Node& node) {
  expect(node.inputs.size() >= 2, "there are no values to average");
  expect_counts(node, node.inputs.size(), node.inputs.size() - 1);
  expect_type("step", input_type(graph, node, 0), plain(DType::int32, {1}));
  std::vector<int64_t> counts;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueType& average = output_type(graph, node, i);
    expect(average.dtype == DType::float32, "an average must be float32, not " + std::string(name_of(average.dtype)));
    expect_type("a value", input_type(graph, node, 1 + i), average);
    counts.push_back(elements(average.shape));
  }
  return counts;
}

}  // namespace

Prepared prepare_ema_update(const Cpu& cpu, const Graph& graph, const Node& node) {
  const auto share = static_cast<float>(1 - expect_number(node, "decay", 0, 1));
  const auto run = [share, threads = cpu.threads, work = stretches(check_averages(graph, node)),
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
