#include <algorithm>

#include "backend/reference/ops.h"

namespace node_cudnn::reference {
namespace {

// Channels [from, from + count) of x become the channels [to, to + count) of y.
template <class T>
void copy_channels(const Dims4& x, const T* from, int64_t first, const Dims4& y, T* to, int64_t target, int64_t count) {
  for (int64_t n = 0; n < x.n; ++n)
    std::copy_n(from + x.at(n, first, 0, 0), count * x.plane(), to + y.at(n, target, 0, 0));
}

void expect_like(const Op& op, const std::string& role, const ValueType& type, const Dims4& like, DType dtype) {
  const Dims4 dims = op.activation(role, type);
  op.expect_type(role, type, dtype, {like.n, dims.c, like.h, like.w});
}

}  // namespace

Prepared prepare_concat(const Op& op) {
  op.expect(op.inputs() >= 1 && op.outputs() == 1, "has to have one input or more, and one output");
  const DType dtype = op.output(0).dtype;
  const Dims4 y = op.activation("y", op.output(0));
  std::vector<Dims4> parts;
  int64_t channels = 0;
  for (size_t i = 0; i < op.inputs(); ++i) {
    expect_like(op, "input " + std::to_string(i), op.input(i), y, dtype);
    parts.push_back(op.activation("x", op.input(i)));
    channels += parts.back().c;
  }
  op.expect(channels == y.c, "y must have the " + std::to_string(channels) + " channels of all inputs");
  return with_float(op, dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      int64_t begin = 0;
      for (size_t i = 0; i < parts.size(); begin += parts[i++].c)
        copy_channels(parts[i], input<T>(a, i), 0, y, output<T>(a, 0), begin, parts[i].c);
    });
  });
}

Prepared prepare_slice_channels(const Op& op) {
  op.expect_counts(1, 1);
  const Dims4 x = op.activation("x", op.input(0)), y = op.activation("y", op.output(0));
  expect_like(op, "y", op.output(0), x, op.input(0).dtype);
  const int64_t begin = op.integer("begin", 0);
  op.expect(begin + y.c <= x.c, "x must have the channels up to " + std::to_string(begin + y.c));
  return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) { copy_channels(x, input<T>(a, 0), begin, y, output<T>(a, 0), 0, y.c); });
  });
}

}  // namespace node_cudnn::reference
