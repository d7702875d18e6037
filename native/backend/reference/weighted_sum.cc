#include "backend/reference/ops.h"

namespace node_cudnn::reference {

Prepared prepare_weighted_sum(const Op& op) {
  const size_t n = op.inputs();
  op.expect(n >= 1, "needs at least one value");
  op.expect_counts(n, 1);
  const DType dtype = op.output(0).dtype;
  for (size_t i = 0; i < n; ++i) op.expect_type("value " + std::to_string(i), op.input(i), dtype, Format::plain, {1});
  op.expect_type("y", op.output(0), dtype, Format::plain, {1});
  const std::vector<double> weights = op.numbers("weights", static_cast<int64_t>(n));
  return with_statistic(op, dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      double sum = 0;
      for (size_t i = 0; i < n; ++i) sum += weights[i] * double{*input<T>(a, i)};
      *output<T>(a, 0) = static_cast<T>(sum);
    });
  });
}

}  // namespace node_cudnn::reference
