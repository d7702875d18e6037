#include "backend/reference/ops.h"

namespace node_cudnn::reference {

Prepared prepare_ema_update(const Op& op) {
  op.expect(op.inputs() >= 2, "needs a step and at least one value");
  const size_t n = op.inputs() - 1;
  op.expect_counts(op.inputs(), n);
  op.expect_type("step", op.input(0), DType::int32, {1});
  const double decay = op.number("decay", 0, 1);
  const DType dtype = op.output(0).dtype;
  std::vector<int64_t> counts;
  for (size_t i = 0; i < n; ++i) {
    const std::string index = std::to_string(i);
    op.expect_type("average " + index, op.output(i), dtype, op.output(i).shape);
    op.expect_equal("value " + index, op.input(1 + i), op.output(i));
    counts.push_back(elements(op.output(i).shape));
  }
  return with_statistic(op, dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      const double share = *input<int32_t>(a, 0) == 0 ? 1 : 1 - decay;
      for (size_t i = 0; i < n; ++i) {
        const T* value = input<T>(a, 1 + i);
        T* average = output<T>(a, i);
        for (int64_t j = 0; j < counts[i]; ++j)
          average[j] = share == 1
                           ? value[j]
                           : static_cast<T>(double{average[j]} + share * (double{value[j]} - double{average[j]}));
      }
    });
  });
}

}  // namespace node_cudnn::reference
