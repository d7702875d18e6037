#include <cmath>

#include "backend/reference/ops.h"
#include "backend/reference/update.h"

namespace node_cudnn::reference {
namespace {

struct Rule {
  double momentum, weight_decay, trust;
};

template <class T>
double norm(int64_t count, const T* x) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += double{x[i]} * double{x[i]};
  return std::sqrt(sum);
}

double trust_ratio(const Rule& rule, double weights, double gradients) {
  if (weights == 0 || gradients == 0) return 1;
  return rule.trust * weights / (gradients + rule.weight_decay * weights);
}

template <class T>
void update(const Rule& rule, double rate, double scale, int64_t count, const T* gradient, T* weight, T* velocity) {
  const double local = rate * trust_ratio(rule, norm(count, weight), std::abs(scale) * norm(count, gradient));
  for (int64_t i = 0; i < count; ++i) {
    const double g = scale * double{gradient[i]} + rule.weight_decay * double{weight[i]};
    const double v = rule.momentum * double{velocity[i]} + local * g;
    velocity[i] = static_cast<T>(v);
    weight[i] = static_cast<T>(double{weight[i]} - v);
  }
}

}  // namespace

Prepared prepare_lars_update(const Op& op) {
  constexpr double any = std::numeric_limits<double>::max();
  const Update u = update_of(op, 1, {"velocity"});
  const Rule rule{op.number("momentum", 0, any), op.number("weight_decay", 0, any), op.number("trust", 0, any)};
  return with_statistic(op, u.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      for (size_t i = 0; i < u.n; ++i)
        update<T>(rule, u.rate<T>(a), u.scale<T>(a), u.counts[i], u.gradient<T>(a, i), u.weight<T>(a, i),
                  u.state<T>(a, 0, i));
    });
  });
}

}  // namespace node_cudnn::reference
