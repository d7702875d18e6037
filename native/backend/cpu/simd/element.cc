#include "backend/cpu/simd/simd.h"
#include "backend/cpu/simd/vector.h"

namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD {
namespace {

template <class T>
void relu(const void* x, void* y, int64_t begin, int64_t end) {
  auto* from = static_cast<const T*>(x);
  auto* to = static_cast<T*>(y);
  for_each_vector(begin, end,
                  [=](int64_t i, int n, int) NODE_CUDNN_INLINE { store(to + i, relu(load(from + i, n)), n); });
}

template <class T>
void relu_grad(const void* dy, const void* y, void* dx, int64_t begin, int64_t end) {
  auto* gradient = static_cast<const T*>(dy);
  auto* active = static_cast<const T*>(y);
  auto* to = static_cast<T*>(dx);
  for_each_vector(begin, end, [=](int64_t i, int n, int) NODE_CUDNN_INLINE {
    store(to + i, load(active + i, n) > 0.0f ? load(gradient + i, n) : Vector{}, n);
  });
}

template <class T>
void add(const void* a, const void* b, void* y, int64_t begin, int64_t end) {
  auto* left = static_cast<const T*>(a);
  auto* right = static_cast<const T*>(b);
  auto* to = static_cast<T*>(y);
  for_each_vector(begin, end, [=](int64_t i, int n, int) NODE_CUDNN_INLINE {
    store(to + i, load(left + i, n) + load(right + i, n), n);
  });
}

}  // namespace

const ElementKernels element_float32 = {relu<float>, relu_grad<float>, add<float>};
const ElementKernels element_bfloat16 = {relu<BFloat16>, relu_grad<BFloat16>, add<BFloat16>};

}  // namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD
