#include <algorithm>
#include <cmath>

#include "backend/labels.h"
#include "backend/reference/ops.h"

namespace node_cudnn::reference {
namespace {

struct Sizes {
  int64_t batch, classes;
  double smoothing;
  bool indexed;  // targets are class indices, not probabilities
};

// The targets of one run. A label of -1 leaves its row out of the mean.
template <class T>
struct Targets {
  const Sizes& s;
  const void* data;

  const int32_t* labels() const { return static_cast<const int32_t*>(data); }
  int32_t label(int64_t n) const { return labels()[n]; }
  bool is_ignored(int64_t n) const { return s.indexed && label(n) == -1; }
  bool gives_nothing(int64_t n) const { return s.indexed && (label(n) < 0 || label(n) >= s.classes); }
  double at(int64_t n, int64_t k) const {
    const double target =
        s.indexed ? (label(n) == k ? 1.0 : 0.0) : double{static_cast<const Statistic<T>*>(data)[n * s.classes + k]};
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
double loss(const Sizes& s, const Targets<T>& targets, const T* logits) {
  if (s.indexed) expect_labels(targets.labels(), s.batch, s.classes);
  double sum = 0;
  for (int64_t n = 0; n < s.batch; ++n) {
    if (targets.is_ignored(n)) continue;
    for (int64_t k = 0; k < s.classes; ++k) {
      const auto x = double{logits[n * s.classes + k]};
      sum += std::max(x, 0.0) - x * targets.at(n, k) + std::log1p(std::exp(-std::abs(x)));
    }
  }
  return sum / targets.count();
}

template <class T>
void gradient(const Sizes& s, const Targets<T>& targets, double dloss, const T* logits, T* dlogits) {
  const double scale = dloss / targets.count();
  for (int64_t n = 0; n < s.batch; ++n) {
    for (int64_t k = 0; k < s.classes; ++k) {
      const double probability = 1 / (1 + std::exp(-double{logits[n * s.classes + k]}));
      const double slope = targets.gives_nothing(n) ? 0 : scale * (probability - targets.at(n, k));
      dlogits[n * s.classes + k] = static_cast<T>(slope);
    }
  }
}

Sizes make_sizes(const Op& op, const ValueType& logits, const ValueType& targets, const ValueType& loss) {
  op.expect(logits.shape.size() == 2, "logits must be [N, K]");
  op.expect_type("logits", logits, logits.dtype, Format::plain, logits.shape);
  const bool indexed = targets.dtype == DType::int32;
  if (indexed)
    op.expect_type("labels", targets, DType::int32, Format::plain, {logits.shape[0]});
  else
    op.expect_type("targets", targets, statistic(logits.dtype), Format::plain, logits.shape);
  op.expect_type("the loss or its gradient", loss, statistic(logits.dtype), Format::plain, {1});
  return {logits.shape[0], logits.shape[1], op.number("smoothing", 0, 1), indexed};
}

}  // namespace

Prepared prepare_sigmoid_cross_entropy(const Op& op) {
  op.expect_counts(2, 1);
  const Sizes s = make_sizes(op, op.input(0), op.input(1), op.output(0));
  return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      const Targets<T> targets{s, a.inputs[1]};
      *output<Statistic<T>>(a, 0) = static_cast<Statistic<T>>(loss(s, targets, input<T>(a, 0)));
    });
  });
}

Prepared prepare_sigmoid_cross_entropy_grad(const Op& op) {
  op.expect_counts(3, 1);
  const Sizes s = make_sizes(op, op.input(1), op.input(2), op.input(0));
  op.expect_equal("dlogits", op.output(0), op.input(1));
  return with_float(op, op.input(1).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      const Targets<T> targets{s, a.inputs[2]};
      gradient(s, targets, double{*input<Statistic<T>>(a, 0)}, input<T>(a, 1), output<T>(a, 0));
    });
  });
}

}  // namespace node_cudnn::reference
