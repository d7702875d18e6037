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

// The three transforms of the algorithm on one line of a tile, and the transposes of two of them.
inline void input_line(const Vec (&d)[6], Vec (&v)[6]) {  // B^T
  const Vec a = d[4] - 4.0f * d[2], b = d[3] - 4.0f * d[1], c = d[4] - d[2], e = 2.0f * (d[3] - d[1]);
  v[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
  v[1] = a + b;
  v[2] = a - b;
  v[3] = c + e;
  v[4] = c - e;
  v[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
}

inline void output_line(const Vec (&m)[6], Vec (&y)[4]) {  // A^T
  const Vec p = m[1] + m[2], q = m[1] - m[2], r = m[3] + m[4], s = m[3] - m[4];
  y[0] = m[0] + p + r;
  y[1] = q + 2.0f * s;
  y[2] = p + 4.0f * r;
  y[3] = q + 8.0f * s + m[5];
}

inline void output_gradient_line(const Vec (&y)[4], Vec (&m)[6]) {  // A
  const Vec even = y[0] + y[2], odd = y[1] + y[3];
  const Vec even4 = y[0] + 4.0f * y[2], odd4 = 2.0f * y[1] + 8.0f * y[3];
  m[0] = y[0];
  m[1] = even + odd;
  m[2] = even - odd;
  m[3] = even4 + odd4;
  m[4] = even4 - odd4;
  m[5] = y[3];
}

inline void filter_line(const Vec (&g)[3], Vec (&u)[6]) {  // G
  const Vec s = (g[0] + g[2]) * (-1.0f / 6), t = g[1] * (1.0f / 6);
  const Vec p = g[0] * (1.0f / 24) + g[2] * (1.0f / 6), q = g[1] * (1.0f / 12);
  u[0] = g[0] * 0.25f;
  u[1] = s - t;
  u[2] = s + t;
  u[3] = p + q;
  u[4] = p - q;
  u[5] = g[2];
}

inline void filter_gradient_line(const Vec (&u)[6], Vec (&g)[3]) {  // G^T
  const Vec a = (u[1] + u[2]) * (-1.0f / 6), b = u[3] + u[4];
  g[0] = 0.25f * u[0] + a + b * (1.0f / 24);
  g[1] = (u[2] - u[1]) * (1.0f / 6) + (u[3] - u[4]) * (1.0f / 12);
  g[2] = a + b * (1.0f / 6) + u[5];
}

// Applies a line transform to the columns, then to the rows of a tile: `read(row, column)`, `write(row, column,
// vector)`.
template <int In, int Out, void (*Line)(const Vec (&)[In], Vec (&)[Out]), class Read, class Write>
[[gnu::always_inline]] inline void both_ways(Read read, Write write) {
  Vec half[Out][In];
#pragma GCC unroll 6
  for (int j = 0; j < In; ++j) {
    Vec in[In], out[Out];
#pragma GCC unroll 6
    for (int i = 0; i < In; ++i) in[i] = read(i, j);
    Line(in, out);
#pragma GCC unroll 6
    for (int i = 0; i < Out; ++i) half[i][j] = out[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < Out; ++i) {
    Vec out[Out];
    Line(half[i], out);
#pragma GCC unroll 6
    for (int j = 0; j < Out; ++j) write(i, j, out[j]);
  }
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

inline void advance(const WinogradShape& s, Tile& tile) {
  if ((tile.column += 4) < s.out_w) return;
  tile.column = 0;
  if ((tile.row += 4) < s.out_h) return;
  tile.row = 0;
  ++tile.image;
}

// Transforms a window of one channel block into v, position k going to v + k * stride. The window's corner may lie
// outside; what lies outside is zero.
template <int In, void (*Line)(const Vec (&)[In], Vec (&)[6])>
inline void transform_window(const float* plane, int64_t height, int64_t width, int64_t top, int64_t left, float* v,
                             int64_t stride) {
  const auto write = [=](int i, int j, Vec value) { store(v + (i * 6 + j) * stride, value); };
  const float* corner = plane + (top * width + left) * B;
  if (top >= 0 && left >= 0 && top + In <= height && left + In <= width)
    both_ways<In, 6, Line>([=](int i, int j) { return load(corner + (i * width + j) * B); }, write);
  else
    both_ways<In, 6, Line>(
        [=](int i, int j) {
          const int64_t y = top + i, x = left + j;
          return y >= 0 && y < height && x >= 0 && x < width ? load(corner + (i * width + j) * B) : Vec{};
        },
        write);
}

// v[36][chunk][inputs] from the tiles first .. first + count.
void transform_input(const WinogradShape& s, const float* x, int64_t first, int64_t count, int64_t chunk, float* v) {
  const int64_t blocks = s.inputs / B, plane = s.in_h * s.in_w * B;
  Tile tile = tile_at(s, first);
  for (int64_t t = 0; t < count; ++t, advance(s, tile))
    for (int64_t cb = 0; cb < blocks; ++cb)
      transform_window<6, input_line>(x + (tile.image * blocks + cb) * plane, s.in_h, s.in_w, tile.row - s.top,
                                      tile.column - s.left, v + t * s.inputs + cb * B, chunk * s.inputs);
}

// d[36][outputs / B][chunk][B] from the tiles of dy.
void transform_output_gradient(const WinogradShape& s, const float* dy, int64_t first, int64_t count, int64_t chunk,
                               float* d) {
  const int64_t blocks = s.outputs / B, plane = s.out_h * s.out_w * B;
  Tile tile = tile_at(s, first);
  for (int64_t t = 0; t < count; ++t, advance(s, tile))
    for (int64_t ob = 0; ob < blocks; ++ob)
      transform_window<4, output_gradient_line>(dy + (tile.image * blocks + ob) * plane, s.out_h, s.out_w, tile.row,
                                                tile.column, d + (ob * chunk + t) * B, blocks * chunk * B);
}

// y from m[36][outputs / B][chunk][B].
void transform_output(const WinogradShape& s, const float* m, int64_t first, int64_t count, int64_t chunk, float* y) {
  const int64_t blocks = s.outputs / B, plane = s.out_h * s.out_w * B, stride = blocks * chunk * B;
  Tile tile = tile_at(s, first);
  for (int64_t t = 0; t < count; ++t, advance(s, tile)) {
    const int64_t rows = s.out_h - tile.row, columns = s.out_w - tile.column;
    for (int64_t ob = 0; ob < blocks; ++ob) {
      const float* mt = m + (ob * chunk + t) * B;
      float* corner = y + (tile.image * blocks + ob) * plane + (tile.row * s.out_w + tile.column) * B;
      const auto read = [=](int i, int j) { return load(mt + (i * 6 + j) * stride); };
      if (rows >= 4 && columns >= 4)
        both_ways<6, 4, output_line>(read, [=](int i, int j, Vec v) { store(corner + (i * s.out_w + j) * B, v); });
      else
        both_ways<6, 4, output_line>(read, [=](int i, int j, Vec v) {
          if (i < rows && j < columns) store(corner + (i * s.out_w + j) * B, v);
        });
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
  constexpr int64_t cache_bytes = 256 * 1024;
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

// g: nine vectors, one filter of B outputs.
inline void write_filter(const float* g, int64_t g_stride, float* u, int64_t u_stride) {
  both_ways<3, 6, filter_line>([=](int i, int j) { return load(g + (i * 3 + j) * g_stride); },
                               [=](int i, int j, Vec v) { store(u + (i * 6 + j) * u_stride, v); });
}

void transform_filter(const float* w, float* u, int64_t outputs, int64_t inputs, int64_t begin, int64_t end) {
  const int64_t in_blocks = inputs / B;
  for (int64_t pair = begin; pair < end; ++pair) {
    const int64_t ob = pair / in_blocks, ib = pair % in_blocks;
    for (int64_t i = 0; i < B; ++i)
      write_filter(w + (pair * 9 * B + i) * B, B * B, u + (ob * inputs + ib * B + i) * B, outputs * inputs);
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
    for (int64_t o = 0; o < B; ++o)
      write_filter(turned + o * B, B * B, u + (ib * outputs + ob * B + o) * B, outputs * inputs);
  }
}

void transform_gradient(const float* du, float* dw, int64_t outputs, int64_t inputs, int64_t begin, int64_t end) {
  const int64_t in_blocks = inputs / B, stride = outputs * inputs;
  for (int64_t pair = begin; pair < end; ++pair) {
    const int64_t ob = pair / in_blocks, ib = pair % in_blocks;
    for (int64_t i = 0; i < B; ++i) {
      const float* from = du + (ob * inputs + ib * B + i) * B;
      float* to = dw + (pair * 9 * B + i) * B;
      both_ways<6, 3, filter_gradient_line>([=](int k, int l) { return load(from + (k * 6 + l) * stride); },
                                            [=](int k, int l, Vec v) { store(to + (k * 3 + l) * B * B, v); });
    }
  }
}

}  // namespace

const WinogradKernels winograd = {B,        transform_filter,    transform_filter_turned, scratch_floats,
                                  convolve, accumulate_gradient, transform_gradient};

}  // namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD
