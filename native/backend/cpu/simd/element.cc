#include "backend/cpu/simd/exponential.h"
#include "backend/cpu/simd/simd.h"

namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD {
namespace {

template <class T, Vector (*f)(Vector)>
void unary(const void* x, void* y, int64_t begin, int64_t end) {
  auto* from = static_cast<const T*>(x);
  auto* to = static_cast<T*>(y);
  for_each_vector(begin, end, [=](int64_t i, int n, int) NODE_CUDNN_INLINE { store(to + i, f(load(from + i, n)), n); });
}

template <class T, Vector (*f)(Vector, Vector)>
void binary(const void* a, const void* b, void* y, int64_t begin, int64_t end) {
  auto* left = static_cast<const T*>(a);
  auto* right = static_cast<const T*>(b);
  auto* to = static_cast<T*>(y);
  for_each_vector(begin, end, [=](int64_t i, int n, int) NODE_CUDNN_INLINE {
    store(to + i, f(load(left + i, n), load(right + i, n)), n);
  });
}

inline Vector relu_grad(Vector dy, Vector y) { return y > 0.0f ? dy : Vector{}; }

// By exp(-|x|), which never overflows.
inline Vector sigmoid(Vector x) {
  const Vector e = exponential(-magnitude(x));
  return (x < 0.0f ? e : broadcast(1)) / (1.0f + e);
}

inline Vector sigmoid_grad(Vector dy, Vector y) { return dy * y * (1.0f - y); }

// By exp(-2|x|) - 1, which keeps the digits of small x.
inline Vector tanh(Vector x) {
  const Vector m = exponential_less_one(-2.0f * magnitude(x));
  const Vector t = m / (2.0f + m);
  return x < 0.0f ? t : -t;
}

inline Vector tanh_grad(Vector dy, Vector y) { return dy * (1.0f - y * y); }

inline Vector add(Vector a, Vector b) { return a + b; }

inline Vector mul(Vector a, Vector b) { return a * b; }

template <class T>
void lerp(const void* x, const void* h, const void* t, void* y, int64_t begin, int64_t end) {
  auto* from = static_cast<const T*>(x);
  auto* towards = static_cast<const T*>(h);
  auto* share = static_cast<const T*>(t);
  auto* to = static_cast<T*>(y);
  for_each_vector(begin, end, [=](int64_t i, int n, int) NODE_CUDNN_INLINE {
    const Vector start = load(from + i, n);
    store(to + i, start + load(share + i, n) * (load(towards + i, n) - start), n);
  });
}

template <class T>
void lerp_grad(void* const* inputs, void* const* outputs, int64_t begin, int64_t end) {
  auto *dy = static_cast<const T*>(inputs[0]), *x = static_cast<const T*>(inputs[1]);
  auto *h = static_cast<const T*>(inputs[2]), *t = static_cast<const T*>(inputs[3]);
  auto *dx = static_cast<T*>(outputs[0]), *dh = static_cast<T*>(outputs[1]), *dt = static_cast<T*>(outputs[2]);
  for_each_vector(begin, end, [=](int64_t i, int n, int) NODE_CUDNN_INLINE {
    const Vector gradient = load(dy + i, n), share = load(t + i, n), way = load(h + i, n) - load(x + i, n);
    store(dx + i, gradient * (1.0f - share), n);
    store(dh + i, gradient * share, n);
    store(dt + i, gradient * way, n);
  });
}

template <class T>
constexpr ElementKernels table = {unary<T, relu>, binary<T, relu_grad>, unary<T, sigmoid>, binary<T, sigmoid_grad>,
                                  unary<T, tanh>, binary<T, tanh_grad>, binary<T, add>,    binary<T, mul>,
                                  lerp<T>,        lerp_grad<T>};

}  // namespace

const ElementKernels element_float32 = table<float>;
const ElementKernels element_bfloat16 = table<BFloat16>;

}  // namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD
