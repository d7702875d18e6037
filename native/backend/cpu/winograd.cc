#include "backend/cpu/winograd.h"

#include <omp.h>

#include <algorithm>
#include <cstring>

#include "backend/cpu/simd/winograd.h"
#include "backend/cpu/slices.h"

namespace node_cudnn::cpu {
namespace {

using simd::WinogradKernels;
using simd::WinogradShape;

const WinogradKernels& kernels_for(const Cpu& cpu, DType dtype) {
  const bool half = dtype == DType::bfloat16;
  switch (cpu.isa) {
    case Isa::avx512:
      return half ? simd::avx512::winograd_bfloat16 : simd::avx512::winograd_float32;
    case Isa::avx2:
      return half ? simd::avx2::winograd_bfloat16 : simd::avx2::winograd_float32;
    case Isa::generic:
      return half ? simd::generic::winograd_bfloat16 : simd::generic::winograd_float32;
  }
  throw std::invalid_argument("winograd: unknown instruction set");
}

std::string implementation(const Cpu& cpu) {
  return std::string("winograd:") + (cpu.isa == Isa::avx512 ? "avx512" : cpu.isa == Isa::avx2 ? "avx2" : "generic");
}

// Whether the layouts are those that winograd.h states, and the filter one that it is for.
bool eligible(const Cpu& cpu, const Node& node, const ValueType& x, const ValueType& w, const ValueType& y) {
  const auto ones = [&](const char* key) { return node.attributes.integers(key) == std::vector<int64_t>{1, 1}; };
  const bool known = x.dtype == DType::float32 || (x.dtype == DType::bfloat16 && cpu.isa == Isa::avx512);
  const int64_t block = cpu.block;
  return known && x.dtype == y.dtype && block == kernels_for(cpu, x.dtype).block && ones("stride") &&
         ones("dilation") && node.attributes.integer("groups") == 1 && w.shape[2] == 3 && w.shape[3] == 3 &&
         w.shape[0] % block == 0 && w.shape[1] % block == 0;
}

WinogradShape shape_of(const Node& node, const ValueType& x, const ValueType& y) {
  const auto padding = node.attributes.integers("padding");
  return {x.shape[0], x.shape[1], y.shape[1], x.shape[2], x.shape[3], y.shape[2], y.shape[3], padding[0], padding[1]};
}

// The data gradient is the convolution of dy with the turned filter; padding p becomes 2 - p.
WinogradShape turned(const WinogradShape& s) {
  return {s.n, s.outputs, s.inputs, s.out_h, s.out_w, s.in_h, s.in_w, 2 - s.top, 2 - s.left};
}

struct Range {
  int64_t begin, end;
};

Range share(int64_t count, int thread, int threads) {
  return {count * thread / threads, count * (thread + 1) / threads};
}

const void* optional_input(const Arguments& arguments, size_t i) { return i == 0 ? nullptr : arguments.inputs[i]; }

constexpr size_t line_floats = 64;  // 256 bytes: the parts of a workspace do not share a cache line
size_t aligned(size_t floats) { return (floats + line_floats - 1) / line_floats * line_floats; }

class Convolution final : public Kernel {
 public:
  Convolution(const Cpu& cpu, DType dtype, const WinogradShape& shape, bool turned, const Epilogue& epilogue)
      : kernels_(kernels_for(cpu, dtype)),
        shape_(shape),
        turned_(turned),
        epilogue_(epilogue),
        threads_(cpu.threads),
        filter_floats_(aligned(static_cast<size_t>(36 * shape.inputs * shape.outputs))),
        scratch_floats_(aligned(kernels_.scratch_floats(shape))) {}

  size_t workspace_bytes() const { return (filter_floats_ + scratch_floats_ * threads_) * sizeof(float); }

  void run(const Arguments& arguments) override {
    const void *source = arguments.inputs[0], *w = arguments.inputs[1];
    auto* u = static_cast<float*>(arguments.workspace);
    const simd::WinogradFinish finish = {static_cast<const float*>(optional_input(arguments, epilogue_.bias)),
                                         optional_input(arguments, epilogue_.residual), epilogue_.relu};
    const int64_t pairs = shape_.inputs * shape_.outputs / (kernels_.block * kernels_.block);
#pragma omp parallel num_threads(threads_)
    {
      const int thread = omp_get_thread_num(), team = omp_get_num_threads();
      const Range filters = share(pairs, thread, team), tiles = share(shape_.tiles(), thread, team);
      if (turned_)
        kernels_.transform_filter_turned(w, u, shape_.inputs, shape_.outputs, filters.begin, filters.end);
      else
        kernels_.transform_filter(w, u, shape_.outputs, shape_.inputs, filters.begin, filters.end);
#pragma omp barrier
      kernels_.convolve(shape_, source, u, finish, arguments.outputs[0], u + filter_floats_ + scratch_floats_ * thread,
                        tiles.begin, tiles.end);
    }
  }

 private:
  const WinogradKernels& kernels_;
  WinogradShape shape_;
  bool turned_;
  Epilogue epilogue_;
  int threads_;
  size_t filter_floats_, scratch_floats_;
};

// Each thread sums its own tiles; the sums are added in thread order, so a result depends on the thread count alone.
class WeightGradient final : public Kernel {
 public:
  WeightGradient(const Cpu& cpu, DType dtype, const WinogradShape& shape)
      : kernels_(kernels_for(cpu, dtype)),
        shape_(shape),
        threads_(cpu.threads),
        sum_floats_(aligned(static_cast<size_t>(36 * shape.inputs * shape.outputs))),
        scratch_floats_(aligned(kernels_.scratch_floats(shape))) {}

  size_t workspace_bytes() const { return (sum_floats_ + scratch_floats_) * threads_ * sizeof(float); }

  void run(const Arguments& arguments) override {
    const void *x = arguments.inputs[0], *dy = arguments.inputs[1];
    auto* dw = static_cast<float*>(arguments.outputs[0]);
    auto* sums = static_cast<float*>(arguments.workspace);
    const int64_t pairs = shape_.inputs * shape_.outputs / (kernels_.block * kernels_.block);
#pragma omp parallel num_threads(threads_)
    {
      const int thread = omp_get_thread_num(), team = omp_get_num_threads();
      const Range tiles = share(shape_.tiles(), thread, team), filters = share(pairs, thread, team);
      float* own = sums + sum_floats_ * thread;
      std::memset(own, 0, sum_floats_ * sizeof(float));
      kernels_.accumulate_gradient(shape_, x, dy, own, sums + sum_floats_ * team + scratch_floats_ * thread,
                                   tiles.begin, tiles.end);
#pragma omp barrier
      add_sums(sums, share(static_cast<int64_t>(sum_floats_), thread, team), team);
#pragma omp barrier
      kernels_.transform_gradient(sums, dw, shape_.outputs, shape_.inputs, filters.begin, filters.end);
    }
  }

 private:
  void add_sums(float* sums, Range range, int team) const {
    for (int other = 1; other < team; ++other) {
      const float* from = sums + sum_floats_ * other;
#pragma omp simd
      for (int64_t i = range.begin; i < range.end; ++i) sums[i] += from[i];
    }
  }

  const WinogradKernels& kernels_;
  WinogradShape shape_;
  int threads_;
  size_t sum_floats_, scratch_floats_;
};

// For filters whose sums are too large for every thread to have its own: stages of tiles, transformed by all threads,
// then summed by all, each into panels of its own.
class StagedWeightGradient final : public Kernel {
 public:
  StagedWeightGradient(const Cpu& cpu, DType dtype, const WinogradShape& shape)
      : kernels_(kernels_for(cpu, dtype)), shape_(shape), threads_(cpu.threads) {
    constexpr int64_t position_floats = 1 << 16;  // one position of v: 256 KiB, which a second-level cache holds
    constexpr int64_t least = 64;
    stage_tiles_ = std::min(shape.tiles(), std::max(least, position_floats / shape.inputs));
    v_floats_ = aligned(static_cast<size_t>(36 * stage_tiles_ * shape.inputs));
    d_floats_ = aligned(static_cast<size_t>(36 * stage_tiles_ * shape.outputs));
  }

  size_t workspace_bytes() const {
    return (v_floats_ + d_floats_ + static_cast<size_t>(36 * shape_.inputs * shape_.outputs)) * sizeof(float);
  }

  void run(const Arguments& arguments) override {
    const void *x = arguments.inputs[0], *dy = arguments.inputs[1];
    auto* dw = static_cast<float*>(arguments.outputs[0]);
    auto* v = static_cast<float*>(arguments.workspace);
    float *d = v + v_floats_, *du = d + d_floats_;
    const int64_t filters = shape_.inputs * shape_.outputs / (kernels_.block * kernels_.block);
#pragma omp parallel num_threads(threads_)
    {
      const int thread = omp_get_thread_num(), team = omp_get_num_threads();
      const Range panels = share(kernels_.panels(shape_), thread, team), pairs = share(filters, thread, team);
      for (int64_t first = 0; first < shape_.tiles(); first += stage_tiles_) {
        const simd::WinogradStage stage{first, std::min(stage_tiles_, shape_.tiles() - first), v, d};
        const Range tiles = share(stage.count, thread, team);
        kernels_.transform_stage(shape_, x, dy, stage, tiles.begin, tiles.end);
#pragma omp barrier
        kernels_.reduce_stage(shape_, stage, du, first > 0, panels.begin, panels.end);
#pragma omp barrier
      }
      kernels_.transform_gradient(du, dw, shape_.outputs, shape_.inputs, pairs.begin, pairs.end);
    }
  }

 private:
  const WinogradKernels& kernels_;
  WinogradShape shape_;
  int threads_;
  int64_t stage_tiles_;
  size_t v_floats_, d_floats_;
};

template <class K, class... Extra>
Prepared prepared(const Cpu& cpu, DType dtype, const WinogradShape& shape, Extra... extra) {
  auto kernel = std::make_unique<K>(cpu, dtype, shape, extra...);
  const size_t workspace = kernel->workspace_bytes();
  return {std::move(kernel), workspace, implementation(cpu), {}};
}

}  // namespace

bool winograd_serves_conv2d(const Cpu& cpu, const Graph& graph, const Node& node) {
  const ValueType& w = input_type(graph, node, 1);
  return w.format == Format::filter && eligible(cpu, node, input_type(graph, node, 0), w, output_type(graph, node, 0));
}

Prepared winograd_conv2d(const Cpu& cpu, const Graph& graph, const Node& node, const Epilogue& epilogue) {
  const auto &x = input_type(graph, node, 0), &y = output_type(graph, node, 0);
  if (!winograd_serves_conv2d(cpu, graph, node)) return {};
  WinogradShape shape = shape_of(node, x, y);
  shape.gap = gap_of(graph, node.outputs[0]);
  return prepared<Convolution>(cpu, x.dtype, shape, false, epilogue);
}

Prepared winograd_conv2d_dgrad(const Cpu& cpu, const Graph& graph, const Node& node) {
  const auto &dy = input_type(graph, node, 0), &w = input_type(graph, node, 1), &dx = output_type(graph, node, 0);
  if (!eligible(cpu, node, dx, w, dy)) return {};
  return prepared<Convolution>(cpu, dy.dtype, turned(shape_of(node, dx, dy)), true, Epilogue{});
}

// The transformed gradient takes four times the filter's memory: one per thread is worth it while a cache holds it.
Prepared winograd_conv2d_wgrad(const Cpu& cpu, const Graph& graph, const Node& node) {
  constexpr int64_t most_sum_bytes = 4 << 20;
  const auto &x = input_type(graph, node, 0), &dy = input_type(graph, node, 1), &dw = output_type(graph, node, 0);
  if (dw.dtype != DType::float32 || !eligible(cpu, node, x, dw, dy)) return {};
  const WinogradShape shape = shape_of(node, x, dy);
  if (36 * shape.inputs * shape.outputs * static_cast<int64_t>(sizeof(float)) > most_sum_bytes)
    return prepared<StagedWeightGradient>(cpu, x.dtype, shape);
  return prepared<WeightGradient>(cpu, x.dtype, shape);
}

}  // namespace node_cudnn::cpu
