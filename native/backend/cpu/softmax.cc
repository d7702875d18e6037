#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"
#include "backend/cpu/simd/simd.h"
#include "program/bfloat16.h"

namespace node_cudnn::cpu {
namespace {

struct Sizes {
  int64_t rows, classes;
  int64_t grain() const { return 16384 / classes + 1; }  // rows that are worth a second thread
};

Sizes sizes_of(const ValueType& x, const ValueType& y) {
  expect_softmax(x, y);
  return {x.shape[0], x.shape[1]};
}

template <class T>
void row_gradient(int64_t classes, const float* dy, const float* y, T* dx) {
  double sum = 0;
  for (int64_t k = 0; k < classes; ++k) sum += double{dy[k]} * double{y[k]};
  const auto mean = static_cast<float>(sum);
  for (int64_t k = 0; k < classes; ++k) dx[k] = static_cast<T>(y[k] * (dy[k] - mean));
}

template <class T>
Prepared gradient(const Cpu& cpu, const Sizes& s) {
  return prepared("loops", [s, threads = cpu.threads](const Arguments& a) {
    parallel(threads, s.rows, s.grain(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * s.classes; i < end * s.classes; i += s.classes)
        row_gradient(s.classes, input<float>(a, 0) + i, input<float>(a, 1) + i, output<T>(a, 0) + i);
    });
  });
}

}  // namespace

Prepared prepare_softmax(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 1);
  const ValueType& x = input_type(graph, node, 0);
  const Sizes s = sizes_of(x, output_type(graph, node, 0));
  const auto bytes = static_cast<int64_t>(size_of(x.dtype));
  const auto run = [s, bytes, threads = cpu.threads,
                    softmax = simd::softmax(cpu.isa, x.dtype).softmax](const Arguments& a) {
    parallel(threads, s.rows, s.grain(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * s.classes; i < end * s.classes; i += s.classes)
        softmax(input<char>(a, 0) + i * bytes, output<float>(a, 0) + i, s.classes);
    });
  };
  return prepared(simd_name(cpu), run);
}

Prepared prepare_softmax_grad(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType& dx = output_type(graph, node, 0);
  const Sizes s = sizes_of(dx, input_type(graph, node, 1));
  expect_type("dy", input_type(graph, node, 0), input_type(graph, node, 1));
  return dx.dtype == DType::bfloat16 ? gradient<bfloat16>(cpu, s) : gradient<float>(cpu, s);
}

}  // namespace node_cudnn::cpu
