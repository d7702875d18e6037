// Normalisation by running statistics, made part of the convolution before it: one pass over its weights. In memory an
// output channel is a lane of lines, [O / b][lines][b] in float32 whatever the block b, 1 included.
#include <cmath>
#include <utility>

#include "backend/cpu/kernel.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/ops.h"

namespace node_cudnn::cpu {

namespace {

constexpr int64_t most_lanes = 16;

template <int64_t lanes>
void scale_lines(const float* from, const float* scales, float* to, int64_t lines) {
  for (int64_t line = 0; line < lines; ++line)
    for (int64_t lane = 0; lane < lanes; ++lane) to[line * lanes + lane] = from[line * lanes + lane] * scales[lane];
}

auto scale_lines_of(int64_t lanes) {
  return lanes == 1 ? scale_lines<1> : lanes == 8 ? scale_lines<8> : scale_lines<most_lanes>;
}

struct Fold {
  int64_t outputs, lines, block;
  float epsilon;

  float scale(const Arguments& a, int64_t o) const {
    return input<float>(a, 1)[o] / std::sqrt(input<float>(a, 4)[o] + epsilon);
  }

  // Lines are counted through all output blocks.
  void run_lines(const Arguments& a, float* to, int64_t begin, int64_t end) const {
    while (begin < end) {
      const int64_t first = begin / lines * block, stop = std::min(end, (begin / lines + 1) * lines);
      float scales[most_lanes];
      for (int64_t lane = 0; lane < block; ++lane) scales[lane] = scale(a, first + lane);
      scale_lines_of(block)(input<float>(a, 0) + begin * block, scales, to + begin * block, stop - begin);
      begin = stop;
    }
  }

  void run(const Arguments& a, float* to, int threads) const {
    constexpr int64_t grain = 1024;
    parallel(threads, outputs / block * lines, grain,
             [&](int64_t begin, int64_t end) { run_lines(a, to, begin, end); });
    const float *bias = input<float>(a, 2), *mean = input<float>(a, 3);
    for (int64_t o = 0; o < outputs; ++o) output<float>(a, 1)[o] = bias[o] - mean[o] * scale(a, o);
  }
};

// From the start of the workspace to the output, which lies differently in another dtype.
Prepared narrowing(const Cpu& cpu, const ValueType& w, const ValueType& y) {
  Chain chain;
  const Operand wide = chain.scratch(describe(cpu, w));
  chain.reorder(wide, output(0, describe(cpu, y)));
  return std::move(chain).finish("");
}

}  // namespace

Prepared prepare_fold_batch_norm(const Cpu& cpu, const Graph& graph, const Node& node) {
  const auto epsilon = static_cast<float>(expect_fold_batch_norm(graph, node));
  const ValueType &w = input_type(graph, node, 0), &y = output_type(graph, node, 0);
  const int64_t block = filter_block(cpu, w.shape), lines = elements(w.shape) / w.shape[0];
  const Fold fold{w.shape[0], lines, block, epsilon};
  if (y.dtype == DType::float32)
    return prepared("loops",
                    [fold, threads = cpu.threads](const Arguments& a) { fold.run(a, output<float>(a, 0), threads); });
  Prepared narrow = narrowing(cpu, w, y);
  const size_t workspace_bytes = narrow.workspace_bytes;
  auto run = [fold, threads = cpu.threads, kernel = std::move(narrow.kernel)](const Arguments& a) {
    fold.run(a, static_cast<float*>(a.workspace), threads);
    kernel->run(a);
  };
  return prepared("loops +1 reorder", std::move(run), workspace_bytes);
}

}  // namespace node_cudnn::cpu
