// Compiled once per instruction set; see winograd.h and vector.h.
#include "backend/cpu/simd/winograd.h"

#include "backend/cpu/simd/winograd_lines.h"

namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD {
namespace {

constexpr int B = width;

#ifdef __AVX512F__
constexpr int max_rows = 14;  // accumulators: rows x 2 vectors, plus 2 filter vectors and a broadcast, of 32 registers
#else
constexpr int max_rows = 6;
#endif

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
template <int In, void (*Line)(const Vector (&)[In], Vector (&)[6]), class T>
inline void transform_window(const T* plane, int64_t rows, int64_t columns, int64_t top, int64_t left, float* v,
                             int64_t stride) {
  const auto write = [=](int i, int j, Vector value) { store(v + (i * 6 + j) * stride, value); };
  const T* corner = plane + (top * columns + left) * B;
  if (top >= 0 && left >= 0 && top + In <= rows && left + In <= columns)
    both_ways<In, 6, Line>([=](int i, int j) { return load(corner + (i * columns + j) * B); }, write);
  else
    both_ways<In, 6, Line>(
        [=](int i, int j) {
          const int64_t y = top + i, x = left + j;
          return y >= 0 && y < rows && x >= 0 && x < columns ? load(corner + (i * columns + j) * B) : Vector{};
        },
        write);
}

// v[36][chunk][inputs] from the tiles first .. first + count.
template <class T>
void transform_input(const WinogradShape& s, const T* x, int64_t first, int64_t count, int64_t chunk, float* v) {
  const int64_t blocks = s.inputs / B, plane = s.in_h * s.in_w * B;
  Tile tile = tile_at(s, first);
  for (int64_t t = 0; t < count; ++t, advance(s, tile))
    for (int64_t cb = 0; cb < blocks; ++cb)
      transform_window<6, input_line>(x + (tile.image * blocks + cb) * plane, s.in_h, s.in_w, tile.row - s.top,
                                      tile.column - s.left, v + t * s.inputs + cb * B, chunk * s.inputs);
}

// d[36][outputs / B][chunk][B] from the tiles of dy.
template <class T>
void transform_output_gradient(const WinogradShape& s, const T* dy, int64_t first, int64_t count, int64_t chunk,
                               float* d) {
  const int64_t blocks = s.outputs / B, plane = s.out_h * s.out_w * B;
  Tile tile = tile_at(s, first);
  for (int64_t t = 0; t < count; ++t, advance(s, tile))
    for (int64_t ob = 0; ob < blocks; ++ob)
      transform_window<4, output_gradient_line>(dy + (tile.image * blocks + ob) * plane, s.out_h, s.out_w, tile.row,
                                                tile.column, d + (ob * chunk + t) * B, blocks * chunk * B);
}

// y from m[36][outputs / B][chunk][B]; finish(sum, block of outputs, offset in y) gives what is stored.
template <class T, class Finish>
void transform_output(const WinogradShape& s, const float* m, int64_t first, int64_t count, int64_t chunk, T* y,
                      Finish finish) {
  const int64_t blocks = s.outputs / B, plane = s.out_h * s.out_w * B, stride = blocks * chunk * B;
  Tile tile = tile_at(s, first);
  for (int64_t t = 0; t < count; ++t, advance(s, tile)) {
    const int64_t rows = s.out_h - tile.row, columns = s.out_w - tile.column;
    for (int64_t ob = 0; ob < blocks; ++ob) {
      const float* mt = m + (ob * chunk + t) * B;
      const int64_t corner =
          (tile.image * blocks + ob) * plane + tile.image * s.gap + (tile.row * s.out_w + tile.column) * B;
      const auto read = [=](int i, int j) { return load(mt + (i * 6 + j) * stride); };
      const auto write = [=](int i, int j, Vector v) NODE_CUDNN_INLINE {
        const int64_t offset = corner + (i * s.out_w + j) * B;
        store(y + offset, finish(v, ob, offset));
      };
      if (rows >= 4 && columns >= 4)
        both_ways<6, 4, output_line>(read, write);
      else
        both_ways<6, 4, output_line>(read, [=](int i, int j, Vector v) {
          if (i < rows && j < columns) write(i, j, v);
        });
    }
  }
}

// m[Columns][rows] = v[rows][inputs] u[Columns][inputs]: `Rows` tiles by `Columns` output blocks in registers.
template <int Rows, int Columns>
inline void multiply_panel(const float* v, int64_t inputs, const float* u, float* m, int64_t m_stride) {
  Vector sum[Rows][Columns] = {};
  for (int64_t c = 0; c < inputs; ++c) {
    Vector filter[Columns];
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

// du[Columns][Rows] = sum over tiles of v[t][Rows] d[Columns][t], plus what is there where `Add`.
template <int Rows, int Columns, bool Add>
inline void reduce_panel(const float* v, int64_t inputs, const float* d, int64_t d_stride, int64_t count, float* du,
                         int64_t du_stride) {
  Vector sum[Rows][Columns] = {};
  if constexpr (Add) {
#pragma GCC unroll 14
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 2
      for (int o = 0; o < Columns; ++o) sum[r][o] = load(du + o * du_stride + r * B);
  }
  for (int64_t t = 0; t < count; ++t) {
    Vector gradient[Columns];
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

template <int Columns, bool Add>
void reduce_columns(const float* v, int64_t inputs, const float* d, int64_t d_stride, int64_t count, float* du) {
  for (int64_t c = 0; c < inputs; c += reduce_rows)
    reduce_panel<reduce_rows, Columns, Add>(v + c, inputs, d, d_stride, count, du + c * B, inputs * B);
}

// A panel of du: one position and two output blocks, or the last one where they are odd.
int64_t panels(const WinogradShape& s) { return 36 * ((s.outputs / B + 1) / 2); }

// v and d hold `chunk` tiles, of which the first `count` are summed.
template <bool Add>
void reduce(const WinogradShape& s, const float* v, const float* d, float* du, int64_t count, int64_t chunk,
            int64_t begin, int64_t end) {
  const int64_t blocks = s.outputs / B, pairs = (blocks + 1) / 2;
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t k = panel / pairs, ob = panel % pairs * 2;
    const float* vk = v + k * chunk * s.inputs;
    const float* dk = d + (k * blocks + ob) * chunk * B;
    float* duk = du + (k * blocks + ob) * s.inputs * B;
    if (ob + 2 <= blocks)
      reduce_columns<2, Add>(vk, s.inputs, dk, chunk * B, count, duk);
    else
      reduce_columns<1, Add>(vk, s.inputs, dk, chunk * B, count, duk);
  }
}

void reduce_stage(const WinogradShape& s, const WinogradStage& stage, float* du, bool add, int64_t begin, int64_t end) {
  (add ? reduce<true> : reduce<false>)(s, stage.v, stage.d, du, stage.count, stage.count, begin, end);
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

template <class T, class Finish>
void convolve_and(const WinogradShape& s, const T* x, const float* u, T* y, float* scratch, int64_t begin, int64_t end,
                  Finish finish) {
  const int64_t chunk = chunk_tiles(s);
  float* m = scratch + 36 * chunk * s.inputs;
  for (int64_t first = begin; first < end; first += chunk) {
    const int64_t count = smaller(chunk, end - first);
    transform_input(s, x, first, count, chunk, scratch);
    multiply(s, scratch, u, m, count, chunk);
    transform_output(s, m, first, count, chunk, y, finish);
  }
}

template <class T>
void convolve(const WinogradShape& s, const void* x, const float* u, const WinogradFinish& f, void* y, float* scratch,
              int64_t begin, int64_t end) {
  const auto run = [=](auto finish) {
    convolve_and(s, static_cast<const T*>(x), u, static_cast<T*>(y), scratch, begin, end, finish);
  };
  if (f.is_nothing()) return run([](Vector v, int64_t, int64_t) NODE_CUDNN_INLINE { return v; });
  run([f, residual = static_cast<const T*>(f.residual)](Vector v, int64_t block, int64_t offset) NODE_CUDNN_INLINE {
    if (f.bias) v += load(f.bias + block * B);
    if (residual) v += load(residual + offset);
    return f.relu ? relu(v) : v;
  });
}

template <class T>
void accumulate_gradient(const WinogradShape& s, const void* x, const void* dy, float* du, float* scratch,
                         int64_t begin, int64_t end) {
  const int64_t chunk = chunk_tiles(s);
  float* d = scratch + 36 * chunk * s.inputs;
  for (int64_t first = begin; first < end; first += chunk) {
    const int64_t count = smaller(chunk, end - first);
    transform_input(s, static_cast<const T*>(x), first, count, chunk, scratch);
    transform_output_gradient(s, static_cast<const T*>(dy), first, count, chunk, d);
    reduce<true>(s, scratch, d, du, count, chunk, 0, panels(s));
  }
}

template <class T>
void transform_stage(const WinogradShape& s, const void* x, const void* dy, const WinogradStage& stage, int64_t begin,
                     int64_t end) {
  const int64_t first = stage.first + begin, count = end - begin;
  transform_input(s, static_cast<const T*>(x), first, count, stage.count, stage.v + begin * s.inputs);
  transform_output_gradient(s, static_cast<const T*>(dy), first, count, stage.count, stage.d + begin * B);
}

// One pair's filters as they lie in memory: float [9][B i][B o], bfloat16 [9][B/2 i][B o][2 i].
inline float filter_at(const float* pair, int64_t k, int64_t i, int64_t o) { return pair[(k * B + i) * B + o]; }
inline float filter_at(const BFloat16* pair, int64_t k, int64_t i, int64_t o) {
  const uint32_t bits = uint32_t{pair[((k * (B / 2) + i / 2) * B + o) * 2 + i % 2].bits} << 16;
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

// One pair's filters into u; turned by 180 degrees and with inputs and outputs exchanged for the data gradient.
template <class T, bool Turned>
void transform_filter(const void* w, float* u, int64_t outputs, int64_t inputs, int64_t begin, int64_t end) {
  const int64_t in_blocks = inputs / B;
  for (int64_t pair = begin; pair < end; ++pair) {
    const int64_t ob = pair / in_blocks, ib = pair % in_blocks;
    const T* from = static_cast<const T*>(w) + pair * 9 * B * B;
    alignas(64) float g[9][B][B];  // [position][from channel][to channel]
    for (int64_t k = 0; k < 9; ++k)
      for (int64_t i = 0; i < B; ++i)
        for (int64_t o = 0; o < B; ++o) (Turned ? g[8 - k][o][i] : g[k][i][o]) = filter_at(from, k, i, o);
    for (int64_t c = 0; c < B; ++c) {
      float* to = u + (Turned ? ib * outputs + ob * B + c : ob * inputs + ib * B + c) * B;
      both_ways<3, 6, filter_line>([&](int i, int j) { return load(g[i * 3 + j][c]); },
                                   [=](int i, int j, Vector v) { store(to + (i * 6 + j) * outputs * inputs, v); });
    }
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
                                            [=](int k, int l, Vector v) { store(to + (k * 3 + l) * B * B, v); });
    }
  }
}

template <class T>
constexpr WinogradKernels kernels = {B,
                                     transform_filter<T, false>,
                                     transform_filter<T, true>,
                                     scratch_floats,
                                     convolve<T>,
                                     accumulate_gradient<T>,
                                     transform_stage<T>,
                                     panels,
                                     reduce_stage,
                                     transform_gradient};

}  // namespace

const WinogradKernels winograd_float32 = kernels<float>;
const WinogradKernels winograd_bfloat16 = kernels<BFloat16>;

}  // namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD
