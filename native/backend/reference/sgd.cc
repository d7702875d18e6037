#include "backend/reference/ops.h"
#include "backend/reference/update.h"

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
  const size_t first = op.flag("scaled") ? 2 : 1;
  const bool has_momentum = op.inputs() > first && op.outputs() == 2 * (op.inputs() - first);
  const Update u = update_of(op, 1, has_momentum ? std::vector<std::string>{"momentum"} : std::vector<std::string>{});
  const Rule rule = make_rule(op, has_momentum);
  return with_statistic(op, u.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      for (size_t i = 0; i < u.n; ++i)
        update<T>(rule, u.rate<T>(a), u.scale<T>(a), u.counts[i], u.gradient<T>(a, i), u.weight<T>(a, i),
                  has_momentum ? u.state<T>(a, 0, i) : nullptr);
    });
  });
}

}  // namespace node_cudnn::reference
