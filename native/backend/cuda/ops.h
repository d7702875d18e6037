// One function per op of docs/ops.md, grouped by the file that defines it.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "backend/cuda/cuda.h"

namespace node_cudnn::cuda {

std::vector<std::string> op_names();

using PrepareFunction = std::remove_pointer_t<Prepare>;

PrepareFunction prepare_conv2d, prepare_conv2d_dgrad, prepare_conv2d_wgrad;
PrepareFunction prepare_linear, prepare_linear_dgrad, prepare_linear_wgrad;

}  // namespace node_cudnn::cuda
