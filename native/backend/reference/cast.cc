#include "backend/reference/ops.h"

namespace node_cudnn::reference {
namespace {

// Also from whole numbers: labels and pixels.
template <class Function>
Prepared with_source(const Op& op, DType dtype, Function&& f) {
  switch (dtype) {
    case DType::int32:
      return f(std::type_identity<int32_t>{});
    case DType::uint8:
      return f(std::type_identity<uint8_t>{});
    default:
      return with_float(op, dtype, f);
  }
}

}  // namespace

Prepared prepare_cast(const Op& op) {
  op.expect_counts(1, 1);
  const ValueType &x = op.input(0), &y = op.output(0);
  op.expect_type("y", y, y.dtype, x.format, x.shape);
  const int64_t count = elements(x.shape);
  return with_source(op, x.dtype, [&]<class From>(std::type_identity<From>) {
    return with_float(op, y.dtype, [&]<class To>(std::type_identity<To>) {
      return prepared([=](const Arguments& a) {
        const From* from = input<From>(a, 0);
        for (int64_t i = 0; i < count; ++i) output<To>(a, 0)[i] = static_cast<To>(static_cast<double>(from[i]));
      });
    });
  });
}

}  // namespace node_cudnn::reference
