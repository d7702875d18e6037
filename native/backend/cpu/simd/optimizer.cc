#include "backend/cpu/simd/simd.h"
#include "backend/cpu/simd/vector.h"

namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD {
namespace {

void sgd(const SgdStep& s, const float* g, float* w, int64_t begin, int64_t end) {
  const float learning_rate = s.learning_rate, scale = s.scale, decay = s.weight_decay;
  for_each_vector(begin, end, [=](int64_t i, int n, int) NODE_CUDNN_INLINE {
    const Vector weight = load(w + i, n);
    store(w + i, weight - learning_rate * (scale * load(g + i, n) + decay * weight), n);
  });
}

template <bool nesterov>
void sgd_momentum(const SgdStep& s, const float* g, float* w, float* m, int64_t begin, int64_t end) {
  const float learning_rate = s.learning_rate, scale = s.scale, decay = s.weight_decay, momentum = s.momentum;
  for_each_vector(begin, end, [=](int64_t i, int n, int) NODE_CUDNN_INLINE {
    const Vector weight = load(w + i, n);
    const Vector gradient = scale * load(g + i, n) + decay * weight;
    const Vector velocity = momentum * load(m + i, n) + gradient;
    store(m + i, velocity, n);
    store(w + i, weight - learning_rate * (nesterov ? gradient + momentum * velocity : velocity), n);
  });
}

void sgd_momentum(const SgdStep& s, const float* g, float* w, float* m, int64_t begin, int64_t end) {
  (s.nesterov ? sgd_momentum<true> : sgd_momentum<false>)(s, g, w, m, begin, end);
}

void adam(const AdamStep& s, const float* g, float* w, float* m, float* v, int64_t begin, int64_t end) {
  for_each_vector(begin, end, [=](int64_t i, int n, int) NODE_CUDNN_INLINE {
    const Vector weight = load(w + i, n);
    const Vector gradient = s.scale * load(g + i, n) + s.penalty * weight;
    const Vector first = s.beta1 * load(m + i, n) + s.share1 * gradient;
    const Vector second = s.beta2 * load(v + i, n) + s.share2 * gradient * gradient;
    store(m + i, first, n);
    store(v + i, second, n);
    store(w + i, s.keep * weight - s.rate * first / (s.root * square_root(second) + s.epsilon), n);
  });
}

void lars(const LarsStep& s, const float* g, float* w, float* v, int64_t begin, int64_t end) {
  for_each_vector(begin, end, [=](int64_t i, int n, int) NODE_CUDNN_INLINE {
    const Vector weight = load(w + i, n);
    const Vector gradient = s.scale * load(g + i, n) + s.weight_decay * weight;
    const Vector velocity = s.momentum * load(v + i, n) + s.local_rate * gradient;
    store(v + i, velocity, n);
    store(w + i, weight - velocity, n);
  });
}

void average(float share, const float* x, float* average, int64_t begin, int64_t end) {
  for_each_vector(begin, end, [=](int64_t i, int n, int) NODE_CUDNN_INLINE {
    const Vector old = load(average + i, n);
    store(average + i, old + share * (load(x + i, n) - old), n);
  });
}

double sum_of_squares(const float* x, int64_t begin, int64_t end) {
  Doubles sum = {};
  for_each_vector(begin, end, [&, x](int64_t i, int n, int) NODE_CUDNN_INLINE {
    const Doubles value = __builtin_convertvector(load(x + i, n), Doubles);
    sum += value * value;
  });
  double total = 0;
  for (int i = 0; i < width; ++i) total += sum[i];
  return total;
}

}  // namespace

const OptimizerKernels optimizer = {sgd, sgd_momentum, adam, lars, average, sum_of_squares};

}  // namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD
