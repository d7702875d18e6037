#include <cmath>

#include "backend/reference/element.h"
#include "backend/reference/ops.h"

namespace node_cudnn::reference {

Prepared prepare_sigmoid(const Op& op) {
  return map_elements(op, 1, [](const double* x) { return 1 / (1 + std::exp(-x[0])); });
}

Prepared prepare_sigmoid_grad(const Op& op) {
  return map_elements(op, 2, [](const double* x) {
    const double dy = x[0], y = x[1];
    return dy * y * (1 - y);
  });
}

}  // namespace node_cudnn::reference
