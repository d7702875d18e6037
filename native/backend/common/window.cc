#include "backend/common/window.h"

#include "backend/common/expect.h"

namespace node_cudnn {

Window make_window(const Node& node, const ValueType& x, const ValueType& y, int64_t kernel_h, int64_t kernel_w) {
  const Shape stride = expect_integers(node, "stride", 2, 1), dilation = expect_integers(node, "dilation", 2, 1);
  const Shape padding = expect_integers(node, "padding", 4, 0);
  return {{x.shape[2], y.shape[2], kernel_h, stride[0], padding[0], padding[2], dilation[0]},
          {x.shape[3], y.shape[3], kernel_w, stride[1], padding[1], padding[3], dilation[1]}};
}

}  // namespace node_cudnn
