#include <cmath>

#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"
#include "backend/labels.h"
#include "program/bfloat16.h"

namespace node_cudnn::cpu {
namespace {

struct Sizes {
  int64_t batch, classes;
  double smoothing;
  bool indexed;                                         // targets are class indices, not probabilities
  int64_t grain() const { return 4096 / classes + 1; }  // rows that are worth a second thread
};

// The targets of one run. A label of -1 leaves its row out of the mean.
struct Targets {
  const Sizes& s;
  const void* data;

  const int32_t* labels() const { return static_cast<const int32_t*>(data); }
  int32_t label(int64_t n) const { return labels()[n]; }
  bool is_ignored(int64_t n) const { return s.indexed && label(n) == -1; }
  bool gives_nothing(int64_t n) const { return s.indexed && (label(n) < 0 || label(n) >= s.classes); }
  double at(int64_t n, int64_t k) const {
    const double target = !s.indexed      ? double{static_cast<const float*>(data)[n * s.classes + k]}
                          : label(n) == k ? 1
                                          : 0;
    return target * (1 - s.smoothing) + s.smoothing / 2;
  }
  // Elements that count in the mean.
  double count() const {
    int64_t rows = 0;
    for (int64_t n = 0; n < s.batch; ++n) rows += is_ignored(n) ? 0 : 1;
    return static_cast<double>(std::max<int64_t>(rows, 1) * s.classes);
  }
};

template <class T>
double row_loss(const Sizes& s, const Targets& targets, int64_t n, const T* logits) {
  if (targets.is_ignored(n)) return 0;
  double sum = 0;
  for (int64_t k = 0; k < s.classes; ++k) {
    const float x = static_cast<float>(logits[k]);
    sum += double{x < 0 ? 0 : x} - double{x} * targets.at(n, k) + double{std::log1p(std::exp(-std::abs(x)))};
  }
  return sum;
}

template <class T>
void row_gradient(const Sizes& s, const Targets& targets, int64_t n, double scale, const T* logits, T* dlogits) {
  for (int64_t k = 0; k < s.classes; ++k) {
    const double probability = 1 / (1 + double{std::exp(-static_cast<float>(logits[k]))});
    const double slope = targets.gives_nothing(n) ? 0 : scale * (probability - targets.at(n, k));
    dlogits[k] = static_cast<T>(static_cast<float>(slope));
  }
}

Sizes check(const Node& node, const ValueType& logits, const ValueType& targets, const ValueType& loss) {
  const double smoothing = expect_sigmoid_cross_entropy(node, logits, targets, loss);
  return {logits.shape[0], logits.shape[1], smoothing, targets.dtype == DType::int32};
}

template <class T>
Prepared forward(const Cpu& cpu, const Sizes& s) {
  const auto run = [s, threads = cpu.threads](const Arguments& a) {
    const Targets targets{s, a.inputs[1]};
    auto* losses = static_cast<double*>(a.workspace);
    if (s.indexed) expect_labels(targets.labels(), s.batch, s.classes);
    parallel(threads, s.batch, s.grain(), [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) losses[n] = row_loss(s, targets, n, input<T>(a, 0) + n * s.classes);
    });
    double sum = 0;
    for (int64_t n = 0; n < s.batch; ++n) sum += losses[n];
    *output<float>(a, 0) = static_cast<float>(sum / targets.count());
  };
  return prepared("loops", run, static_cast<size_t>(s.batch) * sizeof(double));
}

template <class T>
Prepared backward(const Cpu& cpu, const Sizes& s) {
  const auto run = [s, threads = cpu.threads](const Arguments& a) {
    const Targets targets{s, a.inputs[2]};
    const double scale = double{*input<float>(a, 0)} / targets.count();
    parallel(threads, s.batch, s.grain(), [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n)
        row_gradient(s, targets, n, scale, input<T>(a, 1) + n * s.classes, output<T>(a, 0) + n * s.classes);
    });
  };
  return prepared("loops", run, 0, {{0, 1}});
}

}  // namespace

Prepared prepare_sigmoid_cross_entropy(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType& logits = input_type(graph, node, 0);
  const Sizes s = check(node, logits, input_type(graph, node, 1), output_type(graph, node, 0));
  return logits.dtype == DType::bfloat16 ? forward<bfloat16>(cpu, s) : forward<float>(cpu, s);
}

Prepared prepare_sigmoid_cross_entropy_grad(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 3, 1);
  const ValueType& logits = input_type(graph, node, 1);
  const Sizes s = check(node, logits, input_type(graph, node, 2), input_type(graph, node, 0));
  expect_type("dlogits", output_type(graph, node, 0), logits);
  return logits.dtype == DType::bfloat16 ? backward<bfloat16>(cpu, s) : backward<float>(cpu, s);
}

}  // namespace node_cudnn::cpu
