// Where a window meets its input: the common part of convolution and pooling.
#pragma once

#include <algorithm>

#include "backend/reference/op.h"

namespace node_cudnn::reference {

// One axis. Output o and tap k meet at input position o * stride - before + k * dilation.
struct Axis {
  int64_t in, out, kernel, stride, before, after, dilation;

  int64_t position(int64_t o, int64_t k) const { return o * stride - before + k * dilation; }
  bool inside(int64_t position) const { return position >= 0 && position < in; }
  bool inside_padded(int64_t position) const { return position >= -before && position < in + after; }

  // The outputs [first, last) whose tap k lies inside the input.
  int64_t first(int64_t k) const { return std::min(out, std::max<int64_t>(0, ceil_div(before - k * dilation))); }
  int64_t last(int64_t k) const { return std::clamp(ceil_div(in + before - k * dilation), first(k), out); }

  // The output that meets input `position` at tap k, or -1.
  int64_t output_at(int64_t position, int64_t k) const {
    const int64_t offset = position + before - k * dilation;
    return offset >= 0 && offset % stride == 0 && offset / stride < out ? offset / stride : -1;
  }

  int64_t extent() const { return (kernel - 1) * dilation + 1; }
  int64_t slack() const { return in + before + after - extent(); }

 private:
  int64_t ceil_div(int64_t a) const { return a <= 0 ? 0 : (a + stride - 1) / stride; }
};

struct Window {
  Axis h, w;
};

// From the attributes stride, padding and dilation, with the kernel's and both images' sizes.
Window make_window(const Op& op, const Dims4& in, const Dims4& out, int64_t kernel_h, int64_t kernel_w);

}  // namespace node_cudnn::reference
