#include <cstring>

#include "backend/reference/ops.h"

namespace node_cudnn::reference {
namespace {

// The i-th of `n` copies is of the type of what it is a copy of.
std::vector<size_t> bytes_of_copies(const Op& op, size_t n, size_t first_input) {
  std::vector<size_t> bytes;
  for (size_t i = 0; i < n; ++i) {
    const ValueType& type = op.input(first_input + i);
    op.expect_equal("copy " + std::to_string(i), op.output(i), type);
    bytes.push_back(static_cast<size_t>(elements(type.shape)) * size_of(type.dtype));
  }
  return bytes;
}

void copy_all(const Arguments& a, size_t first_input, const std::vector<size_t>& bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) std::memcpy(a.outputs[i], a.inputs[first_input + i], bytes[i]);
}

}  // namespace

Prepared prepare_snapshot(const Op& op) {
  op.expect(op.inputs() >= 1, "needs at least one variable");
  op.expect_counts(op.inputs(), op.inputs());
  const auto bytes = bytes_of_copies(op, op.inputs(), 0);
  return prepared([=](const Arguments& a) { copy_all(a, 0, bytes); });
}

Prepared prepare_restore(const Op& op) {
  op.expect(op.inputs() >= 2, "needs a flag and at least one copy");
  op.expect_counts(op.inputs(), op.inputs() - 1);
  op.expect_type("keep", op.input(0), DType::int32, Format::plain, {1});
  const auto bytes = bytes_of_copies(op, op.outputs(), 1);
  return prepared([=](const Arguments& a) {
    if (*input<int32_t>(a, 0) == 0) copy_all(a, 1, bytes);
  });
}

}  // namespace node_cudnn::reference
