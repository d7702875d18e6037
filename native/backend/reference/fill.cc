#include <algorithm>

#include "backend/reference/ops.h"

namespace node_cudnn::reference {

Prepared prepare_fill(const Op& op) {
  op.expect_counts(0, 1);
  const double value = op.number("value");
  const int64_t count = elements(op.output(0).shape);
  return with_float(op, op.output(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) { std::fill_n(output<T>(a, 0), count, static_cast<T>(value)); });
  });
}

}  // namespace node_cudnn::reference
