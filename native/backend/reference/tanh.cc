#include <cmath>

#include "backend/reference/element.h"
#include "backend/reference/ops.h"

namespace node_cudnn::reference {

Prepared prepare_tanh(const Op& op) {
  return map_elements(op, 1, [](const double* x) { return std::tanh(x[0]); });
}

Prepared prepare_tanh_grad(const Op& op) {
  return map_elements(op, 2, [](const double* x) {
    const double dy = x[0], y = x[1];
    return dy * (1 - y * y);
  });
}

}  // namespace node_cudnn::reference
