#include <cstring>

#include "backend/reference/ops.h"

namespace node_cudnn::reference {
namespace {

// The logical order is the physical one, so both directions are a copy.
Prepared prepare_copy(const Op& op, const ValueType& image, const ValueType& flat) {
  op.expect_counts(1, 1);
  const Dims4 dims = op.activation("image", image);
  op.expect_type("flattened image", flat, image.dtype, Format::plain, {dims.n, dims.c * dims.plane()});
  const size_t bytes = static_cast<size_t>(elements(image.shape)) * size_of(image.dtype);
  return prepared([=](const Arguments& a) { std::memmove(a.outputs[0], a.inputs[0], bytes); }, {{0, 0}});
}

}  // namespace

Prepared prepare_flatten(const Op& op) { return prepare_copy(op, op.input(0), op.output(0)); }
Prepared prepare_unflatten(const Op& op) { return prepare_copy(op, op.output(0), op.input(0)); }

}  // namespace node_cudnn::reference
