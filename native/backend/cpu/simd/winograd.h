// Winograd convolution F(4x4, 3x3) over blocked activations (Lavin and Gray 2015, "Fast Algorithms for Convolutional
// Neural Networks", section 4): 3x3 filters, stride 1, channels in whole blocks. Activations and filters are float32 or
// bfloat16; everything between is float32, which with bfloat16 is more exact than products of bfloat16.
//
// Transformed data, b = block, k = 0..35 the position inside a 6x6 tile:
//   u   [36][outputs / b][inputs][b]   filters
//   du  the same shape, their gradient
//   v   [36][count][inputs]            tiles of x
//   d   [36][outputs / b][count][b]    tiles of dy
// Tiles are numbered through the batch: image, row of tiles, column of tiles. A tile covers 4x4 outputs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace node_cudnn::cpu::simd {

struct WinogradShape {
  int64_t n, inputs, outputs;  // images, channels
  int64_t in_h, in_w, out_h, out_w;
  int64_t top, left;  // padding
  int64_t gap = 0;    // elements between the images of y; then there is no residual
  int64_t tile_rows() const { return (out_h + 3) / 4; }
  int64_t tile_columns() const { return (out_w + 3) / 4; }
  int64_t tiles() const { return n * tile_rows() * tile_columns(); }
};

// What is done to a sum before it is stored: y = relu(sum + bias + residual), each where it is given.
struct WinogradFinish {
  const float* bias = nullptr;     // [outputs]
  const void* residual = nullptr;  // as y
  bool relu = false;
  bool is_nothing() const { return bias == nullptr && residual == nullptr && !relu; }
};

// Tiles first .. first + count, transformed into the memory of all threads.
struct WinogradStage {
  int64_t first, count;
  float *v, *d;
};

// Ranges are [begin, end): of channel-block pairs (filters), of tiles, or of panels. Scratch is per thread. `void`
// stands for the storage type of the table: float or bfloat16.
struct WinogradKernels {
  int64_t block;
  // w [O/b][I/b][3][3][b i][b o] (bfloat16: [b/2 i][b o][2 i]) -> u; pair = ob * (I / b) + ib.
  void (*transform_filter)(const void* w, float* u, int64_t outputs, int64_t inputs, int64_t begin, int64_t end);
  // The same filter turned by 180 degrees with the roles of O and I exchanged: what the data gradient convolves with.
  void (*transform_filter_turned)(const void* w, float* u, int64_t outputs, int64_t inputs, int64_t begin, int64_t end);
  size_t (*scratch_floats)(const WinogradShape& shape);
  void (*convolve)(const WinogradShape& shape, const void* x, const float* u, const WinogradFinish& finish, void* y,
                   float* scratch, int64_t begin, int64_t end);
  // Adds the tiles' contribution to du.
  void (*accumulate_gradient)(const WinogradShape& shape, const void* x, const void* dy, float* du, float* scratch,
                              int64_t begin, int64_t end);
  // The same in two passes over a stage: tiles begin .. end of it into v and d, then panels begin .. end of du, which
  // are written, or added to where `add` says so.
  void (*transform_stage)(const WinogradShape& shape, const void* x, const void* dy, const WinogradStage& stage,
                          int64_t begin, int64_t end);
  int64_t (*panels)(const WinogradShape& shape);
  void (*reduce_stage)(const WinogradShape& shape, const WinogradStage& stage, float* du, bool add, int64_t begin,
                       int64_t end);
  // du -> dw, float32 as w, for pairs as above.
  void (*transform_gradient)(const float* du, float* dw, int64_t outputs, int64_t inputs, int64_t begin, int64_t end);
};

namespace generic {
extern const WinogradKernels winograd_float32, winograd_bfloat16;
}
namespace avx2 {
extern const WinogradKernels winograd_float32, winograd_bfloat16;
}
namespace avx512 {
extern const WinogradKernels winograd_float32, winograd_bfloat16;
}

}  // namespace node_cudnn::cpu::simd
