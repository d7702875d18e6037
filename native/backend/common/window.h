// Where a window meets its input: the common part of convolution and pooling.
#pragma once

#include "backend/backend.h"

namespace node_cudnn {

// One axis. Output o and tap k meet at input position o * stride - before + k * dilation.
struct Axis {
  int64_t in, out, kernel, stride, before, after, dilation;

  int64_t position(int64_t o, int64_t k) const { return o * stride - before + k * dilation; }
  bool inside(int64_t position) const { return position >= 0 && position < in; }
  bool inside_padded(int64_t position) const { return position >= -before && position < in + after; }

  int64_t extent() const { return (kernel - 1) * dilation + 1; }
  int64_t slack() const { return in + before + after - extent(); }
  int64_t whole_windows() const { return slack() < 0 ? 0 : slack() / stride + 1; }
};

struct Window {
  Axis h, w;
};

// From the attributes stride, padding and dilation, with the sizes of the kernel and of both images.
Window make_window(const Node& node, const ValueType& x, const ValueType& y, int64_t kernel_h, int64_t kernel_w);

}  // namespace node_cudnn
