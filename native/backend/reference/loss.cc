#include <algorithm>
#include <cmath>

#include "backend/labels.h"
#include "backend/reference/ops.h"

namespace node_cudnn::reference {
namespace {

struct Sizes {
  int64_t batch, classes;
  double smoothing;

  double target(int64_t k, int64_t label) const {
    return (k == label ? 1 - smoothing : 0) + smoothing / static_cast<double>(classes);
  }
};

bool is_ignored(int64_t label) { return label == -1; }

int64_t count_rows(const Sizes& s, const int32_t* labels) {
  return s.batch - std::count_if(labels, labels + s.batch, is_ignored);
}

// Writes one row's softmax and returns its cross entropy.
template <class T>
double row_loss(const Sizes& s, const T* logits, int64_t label, Statistic<T>* probabilities) {
  double largest = double{logits[0]}, sum = 0, loss = 0;
  for (int64_t k = 1; k < s.classes; ++k) largest = std::max(largest, double{logits[k]});
  for (int64_t k = 0; k < s.classes; ++k) sum += std::exp(double{logits[k]} - largest);
  for (int64_t k = 0; k < s.classes; ++k) {
    const double log_probability = double{logits[k]} - largest - std::log(sum);
    const double target = s.target(k, label);
    probabilities[k] = static_cast<Statistic<T>>(std::exp(log_probability));
    if (target != 0) loss -= target * log_probability;
  }
  return loss;
}

template <class T>
void softmax_cross_entropy(const Sizes& s, const T* logits, const int32_t* labels, Statistic<T>* loss,
                           Statistic<T>* probabilities) {
  expect_labels(labels, s.batch, s.classes);
  double sum = 0;
  for (int64_t n = 0; n < s.batch; ++n) {
    const double row = row_loss<T>(s, logits + n * s.classes, labels[n], probabilities + n * s.classes);
    if (!is_ignored(labels[n])) sum += row;
  }
  *loss = static_cast<Statistic<T>>(sum / static_cast<double>(std::max<int64_t>(count_rows(s, labels), 1)));
}

template <class T>
void softmax_cross_entropy_grad(const Sizes& s, double dloss, const Statistic<T>* probabilities, const int32_t* labels,
                                T* dlogits) {
  const double scale = dloss / static_cast<double>(std::max<int64_t>(count_rows(s, labels), 1));
  const auto gradient = [&](int64_t n, int64_t k) {
    if (labels[n] < 0 || labels[n] >= s.classes) return 0.0;
    return scale * (double{probabilities[n * s.classes + k]} - s.target(k, labels[n]));
  };
  for (int64_t n = 0; n < s.batch; ++n)
    for (int64_t k = 0; k < s.classes; ++k) dlogits[n * s.classes + k] = static_cast<T>(gradient(n, k));
}

Sizes make_sizes(const Op& op, const ValueType& logits, const ValueType& labels, const ValueType& loss,
                 const ValueType& probabilities) {
  op.expect(logits.shape.size() == 2, "logits must be [N, K]");
  op.expect_type("labels", labels, DType::int32, Format::plain, {logits.shape[0]});
  op.expect_type("the loss or its gradient", loss, statistic(logits.dtype), Format::plain, {1});
  op.expect_type("probabilities", probabilities, statistic(logits.dtype), Format::plain, logits.shape);
  return {logits.shape[0], logits.shape[1], op.number("smoothing", 0, 1)};
}

}  // namespace

Prepared prepare_softmax_cross_entropy(const Op& op) {
  op.expect_counts(2, 2);
  const Sizes s = make_sizes(op, op.input(0), op.input(1), op.output(0), op.output(1));
  return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      softmax_cross_entropy<T>(s, input<T>(a, 0), input<int32_t>(a, 1), output<Statistic<T>>(a, 0),
                               output<Statistic<T>>(a, 1));
    });
  });
}

Prepared prepare_softmax_cross_entropy_grad(const Op& op) {
  op.expect_counts(3, 1);
  const Sizes s = make_sizes(op, op.output(0), op.input(2), op.input(0), op.input(1));
  return with_float(op, op.output(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      softmax_cross_entropy_grad<T>(s, double{*input<Statistic<T>>(a, 0)}, input<Statistic<T>>(a, 1),
                                    input<int32_t>(a, 2), output<T>(a, 0));
    });
  });
}

}  // namespace node_cudnn::reference
