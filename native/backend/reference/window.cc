#include "backend/reference/window.h"

namespace node_cudnn::reference {

Window make_window(const Op& op, const Dims4& in, const Dims4& out, int64_t kernel_h, int64_t kernel_w) {
  const auto stride = op.integers("stride", 2, 1);
  const auto padding = op.integers("padding", 4, 0);
  const auto dilation = op.integers("dilation", 2, 1);
  return {{in.h, out.h, kernel_h, stride[0], padding[0], padding[2], dilation[0]},
          {in.w, out.w, kernel_w, stride[1], padding[1], padding[3], dilation[1]}};
}

}  // namespace node_cudnn::reference
