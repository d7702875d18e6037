// The transforms of F(4x4, 3x3) on one line of a tile and on whole tiles; for winograd.cc only, see vector.h.
#pragma once

#include "backend/cpu/simd/vector.h"

// The vector type never crosses a call that is not inlined or internal.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD {
namespace {

// Interpolation points 0, a, -a, b, -b and infinity. Those of the paper, 1 and 2, have twice the rounding error: rms
// 1.0e-6 against 0.5e-6 of a 16-channel convolution of normal numbers. All coefficients of the tile are exact.
constexpr float a = 5.0f / 8, b = 3.0f / 2, aa = a * a, bb = b * b;
constexpr float zero_scale = 1 / (aa * bb), a_scale = 1 / (2 * aa * (aa - bb)), b_scale = 1 / (2 * bb * (bb - aa));

// The three transforms of the algorithm on one line of a tile, and the transposes of two of them.
inline void input_line(const Vector (&d)[6], Vector (&v)[6]) {  // B^T
  const Vector even_a = d[4] - bb * d[2], odd_a = a * (d[3] - bb * d[1]);
  const Vector even_b = d[4] - aa * d[2], odd_b = b * (d[3] - aa * d[1]);
  v[0] = (aa * bb) * d[0] - (aa + bb) * d[2] + d[4];
  v[1] = even_a + odd_a;
  v[2] = even_a - odd_a;
  v[3] = even_b + odd_b;
  v[4] = even_b - odd_b;
  v[5] = (aa * bb) * d[1] - (aa + bb) * d[3] + d[5];
}

inline void output_line(const Vector (&m)[6], Vector (&y)[4]) {  // A^T
  const Vector even_a = m[1] + m[2], odd_a = m[1] - m[2], even_b = m[3] + m[4], odd_b = m[3] - m[4];
  y[0] = m[0] + even_a + even_b;
  y[1] = a * odd_a + b * odd_b;
  y[2] = aa * even_a + bb * even_b;
  y[3] = (aa * a) * odd_a + (bb * b) * odd_b + m[5];
}

inline void output_gradient_line(const Vector (&y)[4], Vector (&m)[6]) {  // A
  const Vector even_a = y[0] + aa * y[2], odd_a = a * (y[1] + aa * y[3]);
  const Vector even_b = y[0] + bb * y[2], odd_b = b * (y[1] + bb * y[3]);
  m[0] = y[0];
  m[1] = even_a + odd_a;
  m[2] = even_a - odd_a;
  m[3] = even_b + odd_b;
  m[4] = even_b - odd_b;
  m[5] = y[3];
}

inline void filter_line(const Vector (&g)[3], Vector (&u)[6]) {  // G
  const Vector even_a = a_scale * (g[0] + aa * g[2]), odd_a = (a_scale * a) * g[1];
  const Vector even_b = b_scale * (g[0] + bb * g[2]), odd_b = (b_scale * b) * g[1];
  u[0] = zero_scale * g[0];
  u[1] = even_a + odd_a;
  u[2] = even_a - odd_a;
  u[3] = even_b + odd_b;
  u[4] = even_b - odd_b;
  u[5] = g[2];
}

inline void filter_gradient_line(const Vector (&u)[6], Vector (&g)[3]) {  // G^T
  const Vector even_a = a_scale * (u[1] + u[2]), even_b = b_scale * (u[3] + u[4]);
  g[0] = zero_scale * u[0] + even_a + even_b;
  g[1] = (a_scale * a) * (u[1] - u[2]) + (b_scale * b) * (u[3] - u[4]);
  g[2] = aa * even_a + bb * even_b + u[5];
}

// Applies a line transform to the columns, then to the rows of a tile: `read(row, column)`, `write(row, column,
// vector)`.
template <int In, int Out, void (*Line)(const Vector (&)[In], Vector (&)[Out]), class Read, class Write>
[[gnu::always_inline]] inline void both_ways(Read read, Write write) {
  Vector half[Out][In];
#pragma GCC unroll 6
  for (int j = 0; j < In; ++j) {
    Vector in[In], out[Out];
#pragma GCC unroll 6
    for (int i = 0; i < In; ++i) in[i] = read(i, j);
    Line(in, out);
#pragma GCC unroll 6
    for (int i = 0; i < Out; ++i) half[i][j] = out[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < Out; ++i) {
    Vector out[Out];
    Line(half[i], out);
#pragma GCC unroll 6
    for (int j = 0; j < Out; ++j) write(i, j, out[j]);
  }
}

}  // namespace
}  // namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD
