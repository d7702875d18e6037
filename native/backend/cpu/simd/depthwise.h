// Convolution of every channel by itself with `multiplier` outputs each: output c * multiplier + j is the j-th of
// channel c. Outputs stand in whole channel blocks, and a vector is the block of one pixel; rows of the input are
// spread to such vectors first, where every lane holds the channel that its output reads, with the padding on both
// sides.
//
// Packed filters are [outputs / b][kernel_h * kernel_w][b], b = block.
#pragma once

#include <cstdint>

namespace node_cudnn::cpu::simd {

struct Depthwise {
  int64_t n, inputs, outputs, multiplier;
  int64_t input_block;  // of x: 1 or the width of a vector
  int64_t in_h, in_w, out_h, out_w, kernel_h, kernel_w;
  int64_t stride_h, stride_w, dilation_h, dilation_w, top, left;
};

constexpr int64_t most_kernel_rows = 16;

// `void` stands for the storage type of the table: float or bfloat16. Scratch is per thread.
struct DepthwiseKernels {
  void (*pack)(const Depthwise& d, const void* w, float* packed);
  int64_t (*scratch_floats)(const Depthwise& d);
  // Rows of the output, counted [n][outputs / b][out_h]; bias may be null.
  void (*forward)(const Depthwise& d, const void* x, const float* packed, const float* bias, void* y, float* scratch,
                  int64_t begin, int64_t end);
  // Rows of the input, counted [n][in_h].
  void (*data_gradient)(const Depthwise& d, const void* dy, const float* packed, void* dx, float* scratch,
                        int64_t begin, int64_t end);
  // Maps of the output, counted [n][outputs / b]: each map's own part, packed, [n] times over.
  void (*weight_gradient)(const Depthwise& d, const void* x, const void* dy, float* parts, float* scratch,
                          int64_t begin, int64_t end);
  // The sum of all parts, as dw [outputs][kernel_h][kernel_w]; blocks of outputs.
  void (*add_parts)(const Depthwise& d, const float* parts, float* dw, int64_t begin, int64_t end);
};

namespace generic {
extern const DepthwiseKernels depthwise_float32, depthwise_bfloat16;
}
namespace avx2 {
extern const DepthwiseKernels depthwise_float32, depthwise_bfloat16;
}
namespace avx512 {
extern const DepthwiseKernels depthwise_float32, depthwise_bfloat16;
}

}  // namespace node_cudnn::cpu::simd
