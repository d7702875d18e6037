// Vectors of the instruction set that this translation unit is compiled for; for simd/*.cc only.
//
// Those files are compiled once per instruction set into one binary. Whatever has external linkage under one name in
// two of them would be merged by the linker, and an old processor might get the code of a new one. So: everything is
// in an unnamed namespace or in the namespace of the instruction set, and nothing comes from the standard library.
#pragma once

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include <cstdint>

namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD {
namespace {

#ifdef __AVX512F__
constexpr int width = 16;
#else
constexpr int width = 8;
#endif

typedef float Vector __attribute__((vector_size(width * 4)));
typedef double Doubles __attribute__((vector_size(width * 8)));
typedef uint32_t Words __attribute__((vector_size(width * 4)));
typedef uint16_t Halves __attribute__((vector_size(width * 2)));

struct BFloat16 {
  uint16_t bits;
};

inline Vector broadcast(float value) { return value - Vector{}; }

// Loads and stores of the first n lanes; the others load as zero.
inline Vector load(const float* p, int n = width) {
  Vector v = {};
  if (n == width)
    __builtin_memcpy(&v, p, sizeof v);
  else
    for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
}

inline Vector load(const BFloat16* p, int n = width) {
  Halves h = {};
  if (n == width)
    __builtin_memcpy(&h, p, sizeof h);
  else
    for (int i = 0; i < n; ++i) h[i] = p[i].bits;
#ifdef __AVX512F__
  return (Vector)((Words)_mm512_maskz_cvtepu16_epi32(0xFFFF, (__m256i)h) << 16);  // GCC 12 makes more of what follows
#else
  return (Vector)(__builtin_convertvector(h, Words) << 16);
#endif
}

inline void store(float* p, Vector v, int n = width) {
  if (n == width)
    __builtin_memcpy(p, &v, sizeof v);
  else
    for (int i = 0; i < n; ++i) p[i] = v[i];
}

// Rounds to nearest, ties to even; a NaN stays a NaN.
inline Halves to_bfloat16(Vector v) {
  const Words u = (Words)v;
  const Words rounded = (u + 0x7FFF + ((u >> 16) & 1)) >> 16;
  const Words quiet = (u >> 16) | 0x40;
  return __builtin_convertvector(v != v ? quiet : rounded, Halves);
}

inline void store(BFloat16* p, Vector v, int n = width) {
  const Halves h = to_bfloat16(v);
  if (n == width)
    __builtin_memcpy(p, &h, sizeof h);
  else
    for (int i = 0; i < n; ++i) p[i].bits = h[i];
}

// Zeroes the lanes from n on.
inline Vector keep(Vector v, int n) {
  if (n == width) return v;
  for (int i = n; i < width; ++i) v[i] = 0;
  return v;
}

inline Vector relu(Vector v) { return v < 0.0f ? Vector{} : v; }  // NaN passes, so that a diverged net is seen

inline Vector square_root(Vector v) {
#if defined(__AVX512F__)
  return (Vector)_mm512_maskz_sqrt_ps(0xFFFF, (__m512)v);  // GCC 12 warns of the plain one
#elif defined(__AVX2__)
  return (Vector)_mm256_sqrt_ps((__m256)v);
#else
  for (int i = 0; i < width; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
#endif
}

// Calls f(i, lanes, slot) for the vectors of begin .. end: `slot` 0 to 3 is for independent accumulators.
template <class F>
inline void for_each_vector(int64_t begin, int64_t end, F f) {
  int64_t i = begin;
  for (; i + 4 * width <= end; i += 4 * width) {
    f(i, width, 0);
    f(i + width, width, 1);
    f(i + 2 * width, width, 2);
    f(i + 3 * width, width, 3);
  }
  for (; i + width <= end; i += width) f(i, width, 0);
  if (i < end) f(i, static_cast<int>(end - i), 0);
}

#define NODE_CUDNN_INLINE __attribute__((always_inline))

struct Accumulator {
  Vector part[4] = {};
  Vector total() const { return (part[0] + part[1]) + (part[2] + part[3]); }
};

}  // namespace
}  // namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD
