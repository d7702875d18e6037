// The reference back end: every op of docs/ops.md as plain loops, on one thread. It is the specification that the
// other back ends are tested against, so precision comes first: values are stored dense and row-major in logical
// order, in float, double or bfloat16, but every sum is accumulated in double and rounded once, when it is stored.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace node_cudnn {

std::unique_ptr<Backend> make_reference_backend(const BackendOptions& options);

}  // namespace node_cudnn
