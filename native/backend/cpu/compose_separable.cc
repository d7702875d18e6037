// A depthwise and a pointwise filter made one, and its gradient taken apart: a few thousand products.
#include "backend/cpu/kernel.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/ops.h"

namespace node_cudnn::cpu {

namespace {

// Where an element of a float32 filter lies: [O / b][I / b][kh * kw][b i][b o].
struct FilterLayout {
  int64_t inputs, window, block;
  int64_t at(int64_t o, int64_t i, int64_t k) const {
    const int64_t pair = o / block * (inputs / block) + i / block;
    return ((pair * window + k) * block + i % block) * block + o % block;
  }
};

struct Separable {
  int64_t outputs, inputs, between, window;
  FilterLayout w, depthwise, pointwise;
  int64_t multiplier() const { return between / inputs; }
};

FilterLayout layout_of(const Cpu& cpu, const ValueType& filter) {
  const Shape& s = filter.shape;
  return {s[1], s[2] * s[3], filter_block(cpu, s)};
}

Separable make_separable(const Cpu& cpu, const ValueType& w, const ValueType& depthwise, const ValueType& pointwise) {
  expect_separable(w, depthwise, pointwise);
  return {w.shape[0],
          w.shape[1],
          depthwise.shape[0],
          w.shape[2] * w.shape[3],
          layout_of(cpu, w),
          layout_of(cpu, depthwise),
          layout_of(cpu, pointwise)};
}

constexpr int64_t grain = 256;

}  // namespace

Prepared prepare_compose_separable(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const Separable s =
      make_separable(cpu, output_type(graph, node, 0), input_type(graph, node, 0), input_type(graph, node, 1));
  return prepared("loops", [s, threads = cpu.threads](const Arguments& a) {
    const float *depthwise = input<float>(a, 0), *pointwise = input<float>(a, 1);
    float* w = output<float>(a, 0);
    parallel(threads, s.outputs * s.inputs, grain, [&](int64_t begin, int64_t end) {
      for (int64_t pair = begin; pair < end; ++pair)
        for (int64_t k = 0; k < s.window; ++k) {
          const int64_t o = pair / s.inputs, c = pair % s.inputs;
          float sum = 0;
          for (int64_t d = c * s.multiplier(); d < (c + 1) * s.multiplier(); ++d)
            sum += pointwise[s.pointwise.at(o, d, 0)] * depthwise[s.depthwise.at(d, 0, k)];
          w[s.w.at(o, c, k)] = sum;
        }
    });
  });
}

Prepared prepare_compose_separable_grad(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 3, 2);
  const ValueType &depthwise = input_type(graph, node, 1), &pointwise = input_type(graph, node, 2);
  const Separable s = make_separable(cpu, input_type(graph, node, 0), depthwise, pointwise);
  expect_type("ddepthwise", output_type(graph, node, 0), depthwise);
  expect_type("dpointwise", output_type(graph, node, 1), pointwise);
  return prepared("loops", [s, threads = cpu.threads](const Arguments& a) {
    const float *dw = input<float>(a, 0), *deep = input<float>(a, 1), *point = input<float>(a, 2);
    float *ddeep = output<float>(a, 0), *dpoint = output<float>(a, 1);
    parallel(threads, s.between * s.window, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t d = i / s.window, k = i % s.window, c = d / s.multiplier();
        float sum = 0;
        for (int64_t o = 0; o < s.outputs; ++o) sum += point[s.pointwise.at(o, d, 0)] * dw[s.w.at(o, c, k)];
        ddeep[s.depthwise.at(d, 0, k)] = sum;
      }
    });
    parallel(threads, s.outputs * s.between, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t o = i / s.between, d = i % s.between, c = d / s.multiplier();
        float sum = 0;
        for (int64_t k = 0; k < s.window; ++k) sum += deep[s.depthwise.at(d, 0, k)] * dw[s.w.at(o, c, k)];
        dpoint[s.pointwise.at(o, d, 0)] = sum;
      }
    });
  });
}

}  // namespace node_cudnn::cpu
