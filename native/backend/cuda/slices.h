// Values inside others (program/slices.h): their pixels lie further apart than they are long.
#pragma once

#include <optional>

#include "backend/common/slices.h"
#include "backend/cuda/cuda.h"

namespace node_cudnn::cuda {

std::optional<size_t> offset_in(const ValueType& whole, const ValueType& part, int64_t first);
bool takes_slice(const Node& node, int value);
bool has_slices(const Graph& graph, const Node& node);

}  // namespace node_cudnn::cuda
