// Pooling over blocked activations: vectors of one channel block. Every kernel has one form: a target pixel collects
// from the source pixels that share a window with it. Forward the target is the output and the source the input; in the
// gradients it is the other way round. Ranges [begin, end) are rows of the target, counted through all channel blocks.
#pragma once

#include <cstdint>

namespace node_cudnn::cpu::simd {

struct Meeting {
  int64_t tap, position;  // position in the source
};

// Of the target position i along one axis: list[first[i]] .. list[first[i + 1]], in the order of the taps.
struct Meetings {
  const Meeting* list;
  const int64_t* first;
};

struct Pooling {
  int64_t source_h, source_w, target_h, target_w, kernel_w;
  Meetings rows, columns;
};

// One over the number of pixels in a window: the product of both axes' shares, by the place of the output.
struct Shares {
  const float *rows, *columns;
};

struct PoolKernels {
  // The first maximum; a NaN counts as the maximum, so that it is not lost.
  void (*max)(const Pooling& p, const void* x, void* y, uint8_t* index, int64_t begin, int64_t end);
  void (*max_grad)(const Pooling& p, const void* dy, const uint8_t* index, void* dx, int64_t begin, int64_t end);
  void (*average)(const Pooling& p, const Shares& shares, const void* x, void* y, int64_t begin, int64_t end);
  void (*average_grad)(const Pooling& p, const Shares& shares, const void* dy, void* dx, int64_t begin, int64_t end);
};

namespace generic {
extern const PoolKernels pool_float32, pool_bfloat16;
}
namespace avx2 {
extern const PoolKernels pool_float32, pool_bfloat16;
}
namespace avx512 {
extern const PoolKernels pool_float32, pool_bfloat16;
}

}  // namespace node_cudnn::cpu::simd
