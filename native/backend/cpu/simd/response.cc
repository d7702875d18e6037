// Local response normalisation, pixel by pixel: the channels of one pixel stand in a line with zeros on both sides, so
// that the windows of neighbouring channels are overlapping vectors of it.
#include "backend/cpu/simd/exponential.h"
#include "backend/cpu/simd/simd.h"

namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD {
namespace {

// ln(s) for normal s > 0 or NaN, to 1e-7: s = m 2^e, sqrt(1/2) <= m < sqrt(2), and ln(m) by the series of artanh.
inline Vector logarithm(Vector s) {
  const Words bits = (Words)s - 0x3F3504F3;  // sqrt(1/2): the exponent counts from there
  typedef int32_t Integers __attribute__((vector_size(width * 4)));
  const Integers e = (Integers)bits >> 23;
  const Vector m = (Vector)((bits & 0x7FFFFF) + 0x3F3504F3);
  const Vector f = (m - 1.0f) / (m + 1.0f), q = f * f;
  Vector p = q * (1.0f / 9) + 1.0f / 7;
  p = p * q + 1.0f / 5;
  p = p * q + 1.0f / 3;
  p = p * q + 1.0f;
  return s == s ? __builtin_convertvector(e, Vector) * 0.693147181f + 2.0f * f * p : s;
}

// One pixel of an activation: its channels from c on, a vector at a time.
template <class T>
struct Pixel {
  T* first;
  int64_t stride;  // between blocks of channels

  Pixel(const Neighbours& g, T* data, int64_t pixel)
      : first(data + (pixel / g.pixels * g.channels * g.pixels + pixel % g.pixels * g.block)),
        stride(g.pixels * g.block) {}
};

template <class T>
inline Vector get(const Neighbours& g, const Pixel<const T>& pixel, int64_t c) {
  if (g.block == width) return load(pixel.first + c / width * pixel.stride);
  Vector v = {};
  for (int i = 0; i < width && c + i < g.channels; ++i) v[i] = load(pixel.first + (c + i) * pixel.stride, 1)[0];
  return v;
}

template <class T>
inline void put(const Neighbours& g, const Pixel<T>& pixel, int64_t c, Vector v) {
  if (g.block == width) return store(pixel.first + c / width * pixel.stride, v);
  for (int i = 0; i < width && c + i < g.channels; ++i) store(pixel.first + (c + i) * pixel.stride, broadcast(v[i]), 1);
}

// A line holds `half` zeros, the channels in whole vectors, and `half` zeros.
inline int64_t length(const Neighbours& g) { return (g.channels + width - 1) / width * width + 2 * g.half; }

inline void clear(float* line, int64_t count) {
  for (int64_t i = 0; i < count; ++i) line[i] = 0;
}

inline Vector sum(const Neighbours& g, const float* line, int64_t c) {
  Vector total = {};
  for (int64_t i = 0; i <= 2 * g.half; ++i) total += load(line + c + i);
  return total;
}

template <class T>
inline void store_squares(const Neighbours& g, const Pixel<const T>& x, float* line) {
  for (int64_t c = 0; c < g.channels; c += width) {
    const Vector v = get(g, x, c);
    store(line + g.half + c, v * v);
  }
}

inline Vector energy(const Neighbours& g, const float* squares, int64_t c) {
  return g.k + g.scale * sum(g, squares, c);
}

inline Vector power(const Neighbours& g, Vector s) { return exponential(-g.beta * logarithm(s)); }

template <class T>
void forward(const Neighbours& g, const void* x, void* y, float* lines, int64_t begin, int64_t end) {
  clear(lines, length(g));
  for (int64_t p = begin; p < end; ++p) {
    const Pixel<const T> from(g, static_cast<const T*>(x), p);
    const Pixel<T> to(g, static_cast<T*>(y), p);
    store_squares(g, from, lines);
    for (int64_t c = 0; c < g.channels; c += width) put(g, to, c, get(g, from, c) * power(g, energy(g, lines, c)));
  }
}

// dx = dy s^-beta - 2 scale beta x sum(dy x s^-beta / s), where s is the energy of a window.
template <class T>
void backward(const Neighbours& g, const void* dy, const void* x, void* dx, float* lines, int64_t begin, int64_t end) {
  float *squares = lines, *ratios = lines + length(g), *own = ratios + length(g);
  clear(lines, 2 * length(g));
  const float factor = -2 * g.scale * g.beta;
  for (int64_t p = begin; p < end; ++p) {
    const Pixel<const T> from(g, static_cast<const T*>(x), p), gradient(g, static_cast<const T*>(dy), p);
    const Pixel<T> to(g, static_cast<T*>(dx), p);
    store_squares(g, from, squares);
    for (int64_t c = 0; c < g.channels; c += width) {
      const Vector s = energy(g, squares, c), direct = get(g, gradient, c) * power(g, s);
      store(own + c, direct);
      store(ratios + g.half + c, direct * get(g, from, c) / s);
    }
    for (int64_t c = 0; c < g.channels; c += width)
      put(g, to, c, load(own + c) + factor * get(g, from, c) * sum(g, ratios, c));
  }
}

}  // namespace

const ResponseKernels response_float32 = {forward<float>, backward<float>};
const ResponseKernels response_bfloat16 = {forward<BFloat16>, backward<BFloat16>};

}  // namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD
