#include "backend/cuda/window.h"

#include "backend/cuda/kernel.h"

namespace node_cudnn::cuda {

namespace {

Shape integers(const Node& node, const char* key, size_t count, int64_t least) {
  Shape values = node.attributes.integers(key);
  bool valid = values.size() == count;
  for (int64_t value : values) valid = valid && value >= least;
  expect(valid, "attribute " + std::string(key) + " must hold " + std::to_string(count) + " integers of at least " +
                    std::to_string(least) + ", not " + to_string(values));
  return values;
}

}  // namespace

Window make_window(const Node& node, const ValueType& x, const ValueType& y, int64_t kernel_h, int64_t kernel_w) {
  const Shape stride = integers(node, "stride", 2, 1), dilation = integers(node, "dilation", 2, 1);
  const Shape padding = integers(node, "padding", 4, 0);
  return {{x.shape[2], y.shape[2], kernel_h, stride[0], padding[0], padding[2], dilation[0]},
          {x.shape[3], y.shape[3], kernel_w, stride[1], padding[1], padding[3], dilation[1]}};
}

}  // namespace node_cudnn::cuda
