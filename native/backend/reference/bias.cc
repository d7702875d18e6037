#include "backend/reference/ops.h"

namespace node_cudnn::reference {

Prepared prepare_bias_grad(const Op& op) {
  op.expect_counts(1, 1);
  const ValueType& dy = op.input(0);
  op.expect(dy.shape.size() == 2 || dy.shape.size() == 4, "dy must be [N, C] or [N, C, H, W]");
  const int64_t batch = dy.shape[0], channels = dy.shape[1];
  const int64_t plane = elements(dy.shape) / (batch * channels);
  op.expect_type("db", op.output(0), statistic(dy.dtype), Format::plain, {channels});
  return with_float(op, dy.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      for (int64_t c = 0; c < channels; ++c) {
        double sum = 0;
        for (int64_t n = 0; n < batch; ++n)
          for (int64_t i = 0; i < plane; ++i) sum += double{input<T>(a, 0)[(n * channels + c) * plane + i]};
        output<Statistic<T>>(a, 0)[c] = static_cast<Statistic<T>>(sum);
      }
    });
  });
}

}  // namespace node_cudnn::reference
