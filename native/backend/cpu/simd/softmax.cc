#include "backend/cpu/simd/exponential.h"
#include "backend/cpu/simd/simd.h"

namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD {
namespace {

inline Vector larger(Vector a, Vector b) { return a < b ? b : a; }

template <class T>
inline float maximum(const T* x, int64_t count) {
  Vector m = broadcast(-__builtin_inff());
  for_each_vector(0, count, [&](int64_t i, int n, int) NODE_CUDNN_INLINE {
    Vector v = load(x + i, n);
    for (int lane = n; lane < width; ++lane) v[lane] = m[lane];
    m = larger(m, v);
  });
  float result = m[0];
  for (int i = 1; i < width; ++i) result = m[i] > result ? m[i] : result;
  return result;
}

inline float sum_of_lanes(Vector v) {
  double total = 0;
  for (int i = 0; i < width; ++i) total += v[i];
  return static_cast<float>(total);
}

template <class T>
SoftmaxRow softmax(const void* logits, float* probabilities, int64_t classes) {
  auto* x = static_cast<const T*>(logits);
  const float largest = maximum(x, classes);
  Accumulator sums, offsets;
  for_each_vector(0, classes, [&](int64_t i, int n, int slot) NODE_CUDNN_INLINE {
    const Vector offset = keep(load(x + i, n) - largest, n);
    const Vector e = keep(exponential(offset), n);
    offsets.part[slot] += offset;
    sums.part[slot] += e;
    store(probabilities + i, e, n);
  });
  const float sum = sum_of_lanes(sums.total());
  for_each_vector(0, classes, [=](int64_t i, int n, int) NODE_CUDNN_INLINE {
    store(probabilities + i, load(probabilities + i, n) / sum, n);
  });
  return {sum, largest, sum_of_lanes(offsets.total())};
}

}  // namespace

const SoftmaxKernels softmax_float32 = {softmax<float>};
const SoftmaxKernels softmax_bfloat16 = {softmax<BFloat16>};

}  // namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD
