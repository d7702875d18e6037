#include <cmath>

#include "backend/reference/ops.h"
#include "backend/reference/update.h"

namespace node_cudnn::reference {
namespace {

struct Rule {
  double beta1, beta2, epsilon, weight_decay;
  bool decoupled;
};

Rule make_rule(const Op& op) {
  constexpr double any = std::numeric_limits<double>::max();
  const Rule rule{op.number("beta1", 0, 1), op.number("beta2", 0, 1), op.number("epsilon", 0, any),
                  op.number("weight_decay", 0, any), op.flag("decoupled")};
  op.expect(rule.beta1 < 1 && rule.beta2 < 1, "beta1 and beta2 must be below 1");
  return rule;
}

struct Scalars {
  double rate, scale, correction1, correction2;
};

template <class T>
void update(const Rule& rule, const Scalars& s, int64_t count, const T* gradient, T* weight, T* first, T* second) {
  for (int64_t i = 0; i < count; ++i) {
    const double g = s.scale * double{gradient[i]} + (rule.decoupled ? 0 : rule.weight_decay * double{weight[i]});
    const double w = double{weight[i]} * (rule.decoupled ? 1 - s.rate * rule.weight_decay : 1);
    const double m = rule.beta1 * double{first[i]} + (1 - rule.beta1) * g;
    const double v = rule.beta2 * double{second[i]} + (1 - rule.beta2) * g * g;
    first[i] = static_cast<T>(m);
    second[i] = static_cast<T>(v);
    weight[i] = static_cast<T>(w - s.rate * (m / s.correction1) / (std::sqrt(v / s.correction2) + rule.epsilon));
  }
}

}  // namespace

Prepared prepare_adam_update(const Op& op) {
  const Update u = update_of(op, 2, {"first moment", "second moment"});
  op.expect_type("step", op.input(1), DType::int32, {1});
  const Rule rule = make_rule(op);
  return with_statistic(op, u.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      const double t = *input<int32_t>(a, 1) + 1.0;
      const Scalars s{u.rate<T>(a), u.scale<T>(a), 1 - std::pow(rule.beta1, t), 1 - std::pow(rule.beta2, t)};
      for (size_t i = 0; i < u.n; ++i)
        update<T>(rule, s, u.counts[i], u.gradient<T>(a, i), u.weight<T>(a, i), u.state<T>(a, 0, i),
                  u.state<T>(a, 1, i));
    });
  });
}

}  // namespace node_cudnn::reference
