#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"
#include "backend/cpu/simd/simd.h"

namespace node_cudnn::cpu {
namespace {

simd::Neighbours neighbours_of(const Cpu& cpu, const Node& node, const ValueType& x) {
  const LocalResponseNorm norm = expect_local_response_norm(node, x);
  const Layout l = activation_layout(cpu, x.shape);
  // A window that is wider than all channels twice over holds what it holds.
  const int64_t half = std::min(norm.size / 2, l.c);
  return {l.c,
          l.h * l.w,
          l.block,
          half,
          static_cast<float>(norm.alpha / static_cast<double>(norm.size)),
          static_cast<float>(norm.beta),
          static_cast<float>(norm.k)};
}

int64_t line_length(const simd::Neighbours& g) {
  constexpr int64_t widest = 16;
  return (g.channels + widest - 1) / widest * widest + 2 * g.half;
}

// Each thread has lines of its own; `run` gets them with a range of pixels of the whole batch.
template <class Run>
Prepared over_pixels(const Cpu& cpu, const simd::Neighbours& g, int64_t pixels, int lines, InPlace in_place, Run run) {
  const int64_t line = line_length(g) * lines;
  const auto body = [=, threads = cpu.threads](const Arguments& a) {
    parallel(threads, pixels, 16384 / g.channels + 1, [&](int64_t begin, int64_t end) {
      run(a, static_cast<float*>(a.workspace) + omp_get_thread_num() * line, begin, end);
    });
  };
  const auto bytes = static_cast<size_t>(cpu.threads * line) * sizeof(float);
  return prepared(simd_name(cpu), body, bytes, std::move(in_place));
}

}  // namespace

Prepared prepare_local_response_norm(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 1);
  const ValueType& x = input_type(graph, node, 0);
  const simd::Neighbours g = neighbours_of(cpu, node, x);
  expect_type("y", output_type(graph, node, 0), x);
  const auto forward = simd::response(cpu.isa, x.dtype).forward;
  return over_pixels(cpu, g, x.shape[0] * g.pixels, 1, {{0, 0}},
                     [=](const Arguments& a, float* lines, int64_t begin, int64_t end) {
                       forward(g, a.inputs[0], a.outputs[0], lines, begin, end);
                     });
}

Prepared prepare_local_response_norm_grad(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType& dy = input_type(graph, node, 0);
  const simd::Neighbours g = neighbours_of(cpu, node, dy);
  expect_type("x", input_type(graph, node, 1), dy);
  expect_type("dx", output_type(graph, node, 0), dy);
  const auto backward = simd::response(cpu.isa, dy.dtype).backward;
  return over_pixels(cpu, g, dy.shape[0] * g.pixels, 3, {{0, 0}, {0, 1}},
                     [=](const Arguments& a, float* lines, int64_t begin, int64_t end) {
                       backward(g, a.inputs[0], a.inputs[1], a.outputs[0], lines, begin, end);
                     });
}

}  // namespace node_cudnn::cpu
