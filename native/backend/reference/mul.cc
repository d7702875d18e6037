#include "backend/reference/element.h"
#include "backend/reference/ops.h"

namespace node_cudnn::reference {

Prepared prepare_mul(const Op& op) {
  return map_elements(op, 2, [](const double* x) { return x[0] * x[1]; });
}

}  // namespace node_cudnn::reference
