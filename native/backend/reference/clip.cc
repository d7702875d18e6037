#include <cmath>

#include "backend/reference/ops.h"

namespace node_cudnn::reference {

Prepared prepare_clip_grad_norm(const Op& op) {
  op.expect(op.inputs() >= 1, "needs at least one gradient");
  op.expect_counts(op.inputs(), 2);
  const double max_norm = op.number("max_norm");
  op.expect(max_norm > 0, "max_norm must be positive");
  const DType dtype = op.input(0).dtype;
  std::vector<int64_t> counts;
  for (size_t i = 0; i < op.inputs(); ++i) {
    op.expect_type("gradient " + std::to_string(i), op.input(i), dtype, op.input(i).shape);
    counts.push_back(elements(op.input(i).shape));
  }
  op.expect_type("norm", op.output(0), dtype, {1});
  op.expect_type("scale", op.output(1), dtype, {1});
  return with_statistic(op, dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      double sum = 0;
      for (size_t g = 0; g < counts.size(); ++g)
        for (int64_t i = 0; i < counts[g]; ++i) sum += double{input<T>(a, g)[i]} * double{input<T>(a, g)[i]};
      const double norm = std::sqrt(sum);
      const double scale = max_norm / (norm + 1e-6);
      *output<T>(a, 0) = static_cast<T>(norm);
      *output<T>(a, 1) = static_cast<T>(scale > 1 ? 1 : scale);  // a NaN stays, as in torch
    });
  });
}

}  // namespace node_cudnn::reference
