#include "backend/reference/ops.h"

namespace node_cudnn::reference {
namespace {

struct Rule {
  double momentum, weight_decay;
  bool nesterov;
};

template <class T>
void update(const Rule& rule, double rate, double scale, int64_t count, const T* gradient, T* weight, T* momentum) {
  for (int64_t i = 0; i < count; ++i) {
    const double g = scale * double{gradient[i]} + rule.weight_decay * double{weight[i]};
    double step = g;
    if (momentum) {
      const double m = rule.momentum * double{momentum[i]} + g;
      momentum[i] = static_cast<T>(m);
      step = rule.nesterov ? g + rule.momentum * m : m;
    }
    weight[i] = static_cast<T>(double{weight[i]} - rate * step);
  }
}

Rule make_rule(const Op& op, bool has_momentum) {
  constexpr double any = std::numeric_limits<double>::max();
  const Rule rule{op.number("momentum", 0, any), op.number("weight_decay", 0, any), op.flag("nesterov")};
  op.expect(has_momentum == (rule.momentum > 0), "momentum values are given exactly where momentum is not 0");
  op.expect(has_momentum || !rule.nesterov, "nesterov needs momentum");
  return rule;
}

}  // namespace

Prepared prepare_sgd_update(const Op& op) {
  const bool scaled = op.flag("scaled");
  const size_t first = scaled ? 2 : 1;
  op.expect(op.inputs() > first, "needs a learning rate and at least one gradient");
  const size_t n = op.inputs() - first;
  const bool has_momentum = op.outputs() == 2 * n;
  op.expect_counts(first + n, has_momentum ? 2 * n : n);
  const Rule rule = make_rule(op, has_momentum);
  const DType dtype = op.input(0).dtype;
  op.expect_type("learning_rate", op.input(0), dtype, {1});
  if (scaled) op.expect_type("scale", op.input(1), dtype, {1});
  std::vector<int64_t> counts;
  for (size_t i = 0; i < n; ++i) {
    const ValueType& weight = op.output(i);
    const std::string index = std::to_string(i);
    op.expect_type("weight " + index, weight, dtype, weight.shape);
    op.expect_equal("gradient " + index, op.input(first + i), weight);
    if (has_momentum) op.expect_equal("momentum " + index, op.output(n + i), weight);
    counts.push_back(elements(weight.shape));
  }
  return with_statistic(op, dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      const double rate = double{*input<T>(a, 0)}, scale = scaled ? double{*input<T>(a, 1)} : 1;
      for (size_t i = 0; i < n; ++i)
        update<T>(rule, rate, scale, counts[i], input<T>(a, first + i), output<T>(a, i),
                  has_momentum ? output<T>(a, n + i) : nullptr);
    });
  });
}

}  // namespace node_cudnn::reference
