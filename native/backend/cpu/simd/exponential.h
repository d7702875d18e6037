// exp(x) and exp(x) - 1 for x <= 0, to 1e-7 relative; for simd/*.cc only, as vector.h.
#pragma once

#include "backend/cpu/simd/vector.h"

namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD {
namespace {

constexpr float least_exponent = -87.3f;  // below it exp(x) is less than the smallest normal number

// x = k ln 2 + r, |r| <= ln 2 / 2, and 2^k exactly.
struct Reduced {
  Vector r, power;
};

inline Reduced reduce(Vector x) {
  const float round = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  const Vector shifted = x * 1.44269504f + round;
  const Vector k = shifted - round;
  const Words exponent = (Words)shifted - (Words)broadcast(round);
  return {(x - k * 0.693145752f) - k * 1.42860677e-6f, (Vector)((exponent + 127) << 23)};
}

// (exp(r) - 1) / r by the Taylor polynomial.
inline Vector slope(Vector r) {
  Vector p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  return p * r + 1.0f;
}

// Results below the smallest normal number are 0; NaN stays NaN.
inline Vector exponential(Vector x) {
  const Reduced e = reduce(x);
  return x < least_exponent ? Vector{} : (slope(e.r) * e.r + 1.0f) * e.power;
}

inline Vector exponential_less_one(Vector x) {
  const Reduced e = reduce(x);
  return x < least_exponent ? broadcast(-1) : e.power * (slope(e.r) * e.r) + (e.power - 1.0f);
}

inline Vector magnitude(Vector x) { return (Vector)((Words)x & 0x7FFFFFFF); }

}  // namespace
}  // namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD
