#include <cmath>

#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"
#include "backend/cpu/simd/simd.h"
#include "backend/labels.h"
#include "program/bfloat16.h"

namespace node_cudnn::cpu {
namespace {

struct Sizes {
  int64_t batch, classes;
  double smoothing;
  double target(bool is_label) const {
    return (is_label ? 1 - smoothing : 0) + smoothing / static_cast<double>(classes);
  }
};

Sizes check(const Node& node, const ValueType& logits, const ValueType& labels, const ValueType& probabilities,
            const ValueType& loss) {
  const double smoothing = expect_softmax_cross_entropy(node, logits, labels, probabilities, loss);
  return {logits.shape[0], logits.shape[1], smoothing};
}

bool is_ignored(int32_t label) { return label == -1; }

double counted_rows(const Sizes& s, const int32_t* labels) {
  const int64_t ignored = std::count_if(labels, labels + s.batch, is_ignored);
  return static_cast<double>(std::max<int64_t>(s.batch - ignored, 1));
}

double cross_entropy(const Sizes& s, const simd::SoftmaxRow& row, double logit) {
  const double log_sum = std::log(double{row.sum});
  double loss = (1 - s.smoothing) * (log_sum - (logit - double{row.maximum}));
  if (s.smoothing != 0) loss += s.smoothing * (log_sum - double{row.offsets} / static_cast<double>(s.classes));
  return loss;
}

template <class T>
Prepared forward(const Cpu& cpu, const Sizes& s, const simd::SoftmaxKernels& kernels) {
  const auto run = [s, threads = cpu.threads, &softmax = *kernels.softmax](const Arguments& a) {
    const T* logits = input<T>(a, 0);
    const auto* labels = input<int32_t>(a, 1);
    auto* probabilities = output<float>(a, 1);
    auto* losses = static_cast<double*>(a.workspace);
    expect_labels(labels, s.batch, s.classes);
    parallel(threads, s.batch, 16384 / s.classes + 1, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        const T* row = logits + n * s.classes;
        const int32_t label = labels[n];
        const simd::SoftmaxRow sums = softmax(row, probabilities + n * s.classes, s.classes);
        losses[n] = is_ignored(label) ? 0 : cross_entropy(s, sums, double{static_cast<float>(row[label])});
      }
    });
    double sum = 0;
    for (int64_t n = 0; n < s.batch; ++n) sum += losses[n];
    *output<float>(a, 0) = static_cast<float>(sum / counted_rows(s, labels));
  };
  return prepared(simd_name(cpu), run, static_cast<size_t>(s.batch) * sizeof(double));
}

template <class T>
void row_gradient(const Sizes& s, double scale, const float* probabilities, int32_t label, T* to) {
  if (label < 0 || label >= s.classes) {
    std::fill(to, to + s.classes, static_cast<T>(0.0f));
    return;
  }
  const auto factor = static_cast<float>(scale), rest = static_cast<float>(s.target(false));
  for (int64_t k = 0; k < s.classes; ++k) to[k] = static_cast<T>(factor * (probabilities[k] - rest));
  to[label] = static_cast<T>(static_cast<float>(scale * (double{probabilities[label]} - s.target(true))));
}

template <class T>
Prepared backward(const Cpu& cpu, const Sizes& s) {
  return prepared("loops", [s, threads = cpu.threads](const Arguments& a) {
    const auto* probabilities = input<float>(a, 1);
    const auto* labels = input<int32_t>(a, 2);
    T* dlogits = output<T>(a, 0);
    const double scale = double{*input<float>(a, 0)} / counted_rows(s, labels);
    parallel(threads, s.batch, 16384 / s.classes + 1, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n)
        row_gradient(s, scale, probabilities + n * s.classes, labels[n], dlogits + n * s.classes);
    });
  });
}

}  // namespace

Prepared prepare_softmax_cross_entropy(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 2);
  const ValueType& logits = input_type(graph, node, 0);
  const Sizes s =
      check(node, logits, input_type(graph, node, 1), output_type(graph, node, 1), output_type(graph, node, 0));
  const simd::SoftmaxKernels& kernels = simd::softmax(cpu.isa, logits.dtype);
  return logits.dtype == DType::bfloat16 ? forward<bfloat16>(cpu, s, kernels) : forward<float>(cpu, s, kernels);
}

Prepared prepare_softmax_cross_entropy_grad(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 3, 1);
  const ValueType& dlogits = output_type(graph, node, 0);
  const Sizes s =
      check(node, dlogits, input_type(graph, node, 2), input_type(graph, node, 1), input_type(graph, node, 0));
  return dlogits.dtype == DType::bfloat16 ? backward<bfloat16>(cpu, s) : backward<float>(cpu, s);
}

}  // namespace node_cudnn::cpu
