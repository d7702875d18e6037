// Compiled once per instruction set; see winograd.h. No std templates here: their instances would be shared with
// translation units that must run on older processors.
#include "backend/cpu/simd/winograd.h"

// The vector type never crosses a call that is not inlined or internal.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD {
namespace {

#ifdef __AVX512F__
constexpr int B = 16;
constexpr int max_rows = 14;  // accumulators: rows x 2 vectors, plus 2 filter vectors and a broadcast, of 32 registers
#else
constexpr int B = 8;
constexpr int max_rows = 6;
#endif
typedef float Vec __attribute__((vector_size(B * sizeof(float)), may_alias));

inline Vec load(const float* p) { return *reinterpret_cast<const Vec*>(p); }
inline void store(float* p, Vec v) { *reinterpret_cast<Vec*>(p) = v; }

// The three transforms of the algorithm and their transposes, on one line of vectors with a stride.
inline void input_line(const Vec* d, int stride, Vec* v, int out) {  // B^T
  const Vec d0 = d[0], d1 = d[stride], d2 = d[2 * stride], d3 = d[3 * stride], d4 = d[4 * stride], d5 = d[5 * stride];
  const Vec a = d4 - 4.0f * d2, b = d3 - 4.0f * d1, c = d4 - d2, e = 2.0f * (d3 - d1);
  v[0] = 4.0f * d0 - 5.0f * d2 + d4;
  v[out] = a + b;
  v[2 * out] = a - b;
  v[3 * out] = c + e;
  v[4 * out] = c - e;
  v[5 * out] = 4.0f * d1 - 5.0f * d3 + d5;
}

inline void output_line(const Vec* m, int stride, Vec* y, int out) {  // A^T
  const Vec m0 = m[0], m1 = m[stride], m2 = m[2 * stride], m3 = m[3 * stride], m4 = m[4 * stride], m5 = m[5 * stride];
  const Vec p = m1 + m2, q = m1 - m2, r = m3 + m4, s = m3 - m4;
  y[0] = m0 + p + r;
  y[out] = q + 2.0f * s;
  y[2 * out] = p + 4.0f * r;
  y[3 * out] = q + 8.0f * s + m5;
}

inline void output_gradient_line(const Vec* y, int stride, Vec* m, int out) {  // A
  const Vec y0 = y[0], y1 = y[stride], y2 = y[2 * stride], y3 = y[3 * stride];
  const Vec even = y0 + y2, odd = y1 + y3, even4 = y0 + 4.0f * y2, odd4 = 2.0f * y1 + 8.0f * y3;
  m[0] = y0;
  m[out] = even + odd;
  m[2 * out] = even - odd;
  m[3 * out] = even4 + odd4;
  m[4 * out] = even4 - odd4;
  m[5 * out] = y3;
}

inline void filter_line(const Vec* g, int stride, Vec* u, int out) {  // G
  const Vec g0 = g[0], g1 = g[stride], g2 = g[2 * stride];
  const Vec s = (g0 + g2) * (-1.0f / 6), t = g1 * (1.0f / 6), p = g0 * (1.0f / 24) + g2 * (1.0f / 6),
            q = g1 * (1.0f / 12);
  u[0] = g0 * 0.25f;
  u[out] = s - t;
  u[2 * out] = s + t;
  u[3 * out] = p + q;
  u[4 * out] = p - q;
  u[5 * out] = g2;
}

inline void filter_gradient_line(const Vec* u, int stride, Vec* g, int out) {  // G^T
  const Vec u0 = u[0], u1 = u[stride], u2 = u[2 * stride], u3 = u[3 * stride], u4 = u[4 * stride], u5 = u[5 * stride];
  const Vec a = (u1 + u2) * (-1.0f / 6), b = u3 + u4;
  g[0] = 0.25f * u0 + a + b * (1.0f / 24);
  g[out] = (u2 - u1) * (1.0f / 6) + (u3 - u4) * (1.0f / 12);
  g[2 * out] = a + b * (1.0f / 6) + u5;
}

template <int Rows, int Columns, int OutRows, int OutColumns, void (*Line)(const Vec*, int, Vec*, int)>
inline void both_ways(const Vec* in, Vec* out) {
  Vec half[OutRows * Columns];
#pragma GCC unroll 6
  for (int j = 0; j < Columns; ++j) Line(in + j, Columns, half + j, Columns);
#pragma GCC unroll 6
  for (int i = 0; i < OutRows; ++i) Line(half + i * Columns, 1, out + i * OutColumns, 1);
}

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

struct Tile {
  int64_t image, row, column;  // of the first output
};

Tile tile_at(const WinogradShape& s, int64_t index) {
  const int64_t per_image = s.tile_rows() * s.tile_columns(), within = index % per_image;
  return {index / per_image, within / s.tile_columns() * 4, within % s.tile_columns() * 4};
}

// Reads a Size x Size window of one channel block whose corner may lie outside; what lies outside is zero.
template <int Size>
inline void read_window(const float* plane, int64_t height, int64_t width, int64_t top, int64_t left, Vec* d) {
  if (top >= 0 && left >= 0 && top + Size <= height && left + Size <= width) {
    for (int i = 0; i < Size; ++i)
      for (int j = 0; j < Size; ++j) d[i * Size + j] = load(plane + ((top + i) * width + left + j) * B);
    return;
  }
  for (int i = 0; i < Size; ++i)
    for (int j = 0; j < Size; ++j) {
      const int64_t y = top + i, x = left + j;
      const bool inside = y >= 0 && y < height && x >= 0 && x < width;
      d[i * Size + j] = inside ? load(plane + (y * width + x) * B) : Vec{};
    }
}

inline void write_window(float* plane, int64_t height, int64_t width, int64_t top, int64_t left, const Vec* y) {
  const int64_t rows = smaller(4, height - top), columns = smaller(4, width - left);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) store(plane + ((top + i) * width + left + j) * B, y[i * 4 + j]);
}

// v[36][chunk][inputs] from the tiles first .. first + count.
void transform_input(const WinogradShape& s, const float* x, int64_t first, int64_t count, int64_t chunk, float* v) {
  const int64_t blocks = s.inputs / B, plane = s.in_h * s.in_w * B;
  for (int64_t t = 0; t < count; ++t) {
    const Tile tile = tile_at(s, first + t);
    for (int64_t cb = 0; cb < blocks; ++cb) {
      Vec d[36], r[36];
      read_window<6>(x + (tile.image * blocks + cb) * plane, s.in_h, s.in_w, tile.row - s.top, tile.column - s.left, d);
      both_ways<6, 6, 6, 6, input_line>(d, r);
      for (int k = 0; k < 36; ++k) store(v + (k * chunk + t) * s.inputs + cb * B, r[k]);
    }
  }
}

// y from m[36][outputs / B][chunk][B].
void transform_output(const WinogradShape& s, const float* m, int64_t first, int64_t count, int64_t chunk, float* y) {
  const int64_t blocks = s.outputs / B, plane = s.out_h * s.out_w * B;
  for (int64_t t = 0; t < count; ++t) {
    const Tile tile = tile_at(s, first + t);
    for (int64_t ob = 0; ob < blocks; ++ob) {
      Vec d[36], r[16];
      for (int k = 0; k < 36; ++k) d[k] = load(m + ((k * blocks + ob) * chunk + t) * B);
      both_ways<6, 6, 4, 4, output_line>(d, r);
      write_window(y + (tile.image * blocks + ob) * plane, s.out_h, s.out_w, tile.row, tile.column, r);
    }
  }
}

// d[36][outputs / B][chunk][B] from the tiles of dy.
void transform_output_gradient(const WinogradShape& s, const float* dy, int64_t first, int64_t count, int64_t chunk,
                               float* d) {
  const int64_t blocks = s.outputs / B, plane = s.out_h * s.out_w * B;
  for (int64_t t = 0; t < count; ++t) {
    const Tile tile = tile_at(s, first + t);
    for (int64_t ob = 0; ob < blocks; ++ob) {
      Vec y[16], r[36];
      read_window<4>(dy + (tile.image * blocks + ob) * plane, s.out_h, s.out_w, tile.row, tile.column, y);
      both_ways<4, 4, 6, 6, output_gradient_line>(y, r);
      for (int k = 0; k < 36; ++k) store(d + ((k * blocks + ob) * chunk + t) * B, r[k]);
    }
  }
}

// m[Columns][rows] = v[rows][inputs] u[Columns][inputs]: `Rows` tiles by `Columns` output blocks in registers.
template <int Rows, int Columns>
inline void multiply_panel(const float* v, int64_t inputs, const float* u, float* m, int64_t m_stride) {
  Vec sum[Rows][Columns] = {};
  for (int64_t c = 0; c < inputs; ++c) {
    Vec filter[Columns];
#pragma GCC unroll 2
    for (int o = 0; o < Columns; ++o) filter[o] = load(u + (o * inputs + c) * B);
#pragma GCC unroll 14
    for (int r = 0; r < Rows; ++r) {
      const float value = v[r * inputs + c];
#pragma GCC unroll 2
      for (int o = 0; o < Columns; ++o) sum[r][o] += value * filter[o];
    }
  }
#pragma GCC unroll 14
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 2
    for (int o = 0; o < Columns; ++o) store(m + o * m_stride + r * B, sum[r][o]);
}

template <int Columns>
void multiply_columns(const float* v, int64_t rows, int64_t inputs, const float* u, float* m, int64_t m_stride) {
  int64_t r = 0;
  for (; r + max_rows <= rows; r += max_rows)
    multiply_panel<max_rows, Columns>(v + r * inputs, inputs, u, m + r * B, m_stride);
  for (; r + 4 <= rows; r += 4) multiply_panel<4, Columns>(v + r * inputs, inputs, u, m + r * B, m_stride);
  for (; r < rows; ++r) multiply_panel<1, Columns>(v + r * inputs, inputs, u, m + r * B, m_stride);
}

void multiply(const WinogradShape& s, const float* v, const float* u, float* m, int64_t count, int64_t chunk) {
  const int64_t blocks = s.outputs / B;
  for (int k = 0; k < 36; ++k) {
    const float* vk = v + k * chunk * s.inputs;
    const float* uk = u + k * blocks * s.inputs * B;
    float* mk = m + k * blocks * chunk * B;
    int64_t ob = 0;
    for (; ob + 2 <= blocks; ob += 2)
      multiply_columns<2>(vk, count, s.inputs, uk + ob * s.inputs * B, mk + ob * chunk * B, chunk * B);
    if (ob < blocks) multiply_columns<1>(vk, count, s.inputs, uk + ob * s.inputs * B, mk + ob * chunk * B, chunk * B);
  }
}

// du[Columns][Rows] += sum over tiles of v[t][Rows] d[Columns][t].
template <int Rows, int Columns>
inline void reduce_panel(const float* v, int64_t inputs, const float* d, int64_t d_stride, int64_t count, float* du,
                         int64_t du_stride) {
  Vec sum[Rows][Columns];
#pragma GCC unroll 14
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 2
    for (int o = 0; o < Columns; ++o) sum[r][o] = load(du + o * du_stride + r * B);
  for (int64_t t = 0; t < count; ++t) {
    Vec gradient[Columns];
#pragma GCC unroll 2
    for (int o = 0; o < Columns; ++o) gradient[o] = load(d + o * d_stride + t * B);
#pragma GCC unroll 14
    for (int r = 0; r < Rows; ++r) {
      const float value = v[t * inputs + r];
#pragma GCC unroll 2
      for (int o = 0; o < Columns; ++o) sum[r][o] += value * gradient[o];
    }
  }
#pragma GCC unroll 14
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 2
    for (int o = 0; o < Columns; ++o) store(du + o * du_stride + r * B, sum[r][o]);
}

constexpr int reduce_rows = B == 16 ? 8 : 4;  // divides the block, so no remainder

template <int Columns>
void reduce_columns(const float* v, int64_t inputs, const float* d, int64_t d_stride, int64_t count, float* du) {
  for (int64_t c = 0; c < inputs; c += reduce_rows)
    reduce_panel<reduce_rows, Columns>(v + c, inputs, d, d_stride, count, du + c * B, inputs * B);
}

void reduce(const WinogradShape& s, const float* v, const float* d, float* du, int64_t count, int64_t chunk) {
  const int64_t blocks = s.outputs / B;
  for (int k = 0; k < 36; ++k) {
    const float* vk = v + k * chunk * s.inputs;
    const float* dk = d + k * blocks * chunk * B;
    float* duk = du + k * blocks * s.inputs * B;
    int64_t ob = 0;
    for (; ob + 2 <= blocks; ob += 2)
      reduce_columns<2>(vk, s.inputs, dk + ob * chunk * B, chunk * B, count, duk + ob * s.inputs * B);
    if (ob < blocks) reduce_columns<1>(vk, s.inputs, dk + ob * chunk * B, chunk * B, count, duk + ob * s.inputs * B);
  }
}

// Tiles per pass: both transformed tensors stay in the second-level cache, but the filters are read often enough.
int64_t chunk_tiles(const WinogradShape& s) {
  constexpr int64_t cache_bytes = 512 * 1024;
  const int64_t fitting = cache_bytes / (36 * 4 * (s.inputs + s.outputs)) / max_rows * max_rows;
  return larger(fitting, 4 * max_rows);
}

size_t scratch_floats(const WinogradShape& s) {
  return static_cast<size_t>(36 * chunk_tiles(s) * (s.inputs + s.outputs));
}

void convolve(const WinogradShape& s, const float* x, const float* u, float* y, float* scratch, int64_t begin,
              int64_t end) {
  const int64_t chunk = chunk_tiles(s);
  float* m = scratch + 36 * chunk * s.inputs;
  for (int64_t first = begin; first < end; first += chunk) {
    const int64_t count = smaller(chunk, end - first);
    transform_input(s, x, first, count, chunk, scratch);
    multiply(s, scratch, u, m, count, chunk);
    transform_output(s, m, first, count, chunk, y);
  }
}

void accumulate_gradient(const WinogradShape& s, const float* x, const float* dy, float* du, float* scratch,
                         int64_t begin, int64_t end) {
  const int64_t chunk = chunk_tiles(s);
  float* d = scratch + 36 * chunk * s.inputs;
  for (int64_t first = begin; first < end; first += chunk) {
    const int64_t count = smaller(chunk, end - first);
    transform_input(s, x, first, count, chunk, scratch);
    transform_output_gradient(s, dy, first, count, chunk, d);
    reduce(s, scratch, d, du, count, chunk);
  }
}

void write_filter(const Vec* g, float* u, int64_t position_stride) {
  Vec r[36];
  both_ways<3, 3, 6, 6, filter_line>(g, r);
  for (int k = 0; k < 36; ++k) store(u + k * position_stride, r[k]);
}

void transform_filter(const float* w, float* u, int64_t outputs, int64_t inputs, int64_t begin, int64_t end) {
  const int64_t in_blocks = inputs / B;
  for (int64_t pair = begin; pair < end; ++pair) {
    const int64_t ob = pair / in_blocks, ib = pair % in_blocks;
    const float* block = w + pair * 9 * B * B;
    for (int64_t i = 0; i < B; ++i) {
      Vec g[9];
      for (int k = 0; k < 9; ++k) g[k] = load(block + (k * B + i) * B);
      write_filter(g, u + (ob * inputs + ib * B + i) * B, outputs * inputs);
    }
  }
}

void transform_filter_turned(const float* w, float* u, int64_t outputs, int64_t inputs, int64_t begin, int64_t end) {
  const int64_t in_blocks = inputs / B;
  for (int64_t pair = begin; pair < end; ++pair) {
    const int64_t ob = pair / in_blocks, ib = pair % in_blocks;
    const float* block = w + pair * 9 * B * B;
    alignas(64) float turned[9 * B * B];  // [8 - k][o][i]
    for (int64_t k = 0; k < 9; ++k)
      for (int64_t i = 0; i < B; ++i)
        for (int64_t o = 0; o < B; ++o) turned[((8 - k) * B + o) * B + i] = block[(k * B + i) * B + o];
    for (int64_t o = 0; o < B; ++o) {
      Vec g[9];
      for (int k = 0; k < 9; ++k) g[k] = load(turned + (k * B + o) * B);
      write_filter(g, u + (ib * outputs + ob * B + o) * B, outputs * inputs);
    }
  }
}

void transform_gradient(const float* du, float* dw, int64_t outputs, int64_t inputs, int64_t begin, int64_t end) {
  const int64_t in_blocks = inputs / B;
  for (int64_t pair = begin; pair < end; ++pair) {
    const int64_t ob = pair / in_blocks, ib = pair % in_blocks;
    for (int64_t i = 0; i < B; ++i) {
      Vec d[36], g[9];
      for (int k = 0; k < 36; ++k) d[k] = load(du + k * outputs * inputs + (ob * inputs + ib * B + i) * B);
      both_ways<6, 6, 3, 3, filter_gradient_line>(d, g);
      for (int k = 0; k < 9; ++k) store(dw + ((pair * 9 + k) * B + i) * B, g[k]);
    }
  }
}

}  // namespace

const WinogradKernels winograd = {B,        transform_filter,    transform_filter_turned, scratch_floats,
                                  convolve, accumulate_gradient, transform_gradient};

}  // namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD
