#include <cmath>

#include "backend/reference/ops.h"

namespace node_cudnn::reference {

Prepared prepare_unscale(const Op& op) {
  op.expect(op.inputs() >= 2, "needs a loss scale and at least one gradient");
  const size_t n = op.inputs() - 1;
  op.expect_counts(op.inputs(), n + 1);
  const DType dtype = op.input(0).dtype;
  op.expect_type("loss_scale", op.input(0), dtype, Format::plain, {1});
  op.expect_type("finite", op.output(n), DType::int32, Format::plain, {1});
  std::vector<int64_t> counts;
  InPlace in_place;
  for (size_t i = 0; i < n; ++i) {
    const std::string index = " " + std::to_string(i);
    op.expect_type("gradient" + index, op.input(1 + i), dtype, op.input(1 + i).shape);
    op.expect_equal("unscaled gradient" + index, op.output(i), op.input(1 + i));
    counts.push_back(elements(op.output(i).shape));
    in_place.emplace_back(static_cast<int>(i), static_cast<int>(1 + i));
  }
  return with_statistic(op, dtype, [&]<class T>(std::type_identity<T>) {
    return prepared(
        [=](const Arguments& a) {
          const double scale = double{*input<T>(a, 0)};
          bool finite = true;
          for (size_t i = 0; i < n; ++i)
            for (int64_t j = 0; j < counts[i]; ++j) {
              const T value = static_cast<T>(double{input<T>(a, 1 + i)[j]} / scale);
              finite = finite && std::isfinite(value);
              output<T>(a, i)[j] = value;
            }
          *output<int32_t>(a, n) = finite;
        },
        in_place);
  });
}

Prepared prepare_update_loss_scale(const Op& op) {
  constexpr double any = std::numeric_limits<float>::max();
  op.expect_counts(1, 2);
  op.expect_type("finite", op.input(0), DType::int32, Format::plain, {1});
  const DType dtype = op.output(0).dtype;
  op.expect_type("loss_scale", op.output(0), dtype, Format::plain, {1});
  op.expect_type("good_steps", op.output(1), DType::int32, Format::plain, {1});
  const double growth = op.number("growth", 1, any), backoff = op.number("backoff", 0, 1);
  const int64_t interval = op.integer("interval", 1);
  return with_statistic(op, dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      T* scale = output<T>(a, 0);
      int32_t* good = output<int32_t>(a, 1);
      if (*input<int32_t>(a, 0) == 0) {
        *scale = static_cast<T>(double{*scale} * backoff);
        *good = 0;
      } else if (++*good == interval) {
        const T grown = static_cast<T>(double{*scale} * growth);
        if (std::isfinite(grown)) *scale = grown;
        *good = 0;
      }
    });
  });
}

}  // namespace node_cudnn::reference
