// Ops that compute every element from the elements in the same place, of whatever format.
#pragma once

#include "backend/cpu/kernel.h"
#include "backend/cpu/simd/simd.h"

namespace node_cudnn::cpu {

using Unary = void (*)(const void* x, void* y, int64_t begin, int64_t end);
using Binary = void (*)(const void* a, const void* b, void* y, int64_t begin, int64_t end);

// The output has the type of the inputs and may take any input's place.
Prepared prepare_elements(const Cpu& cpu, const Graph& graph, const Node& node, Unary simd::ElementKernels::*kernel);
Prepared prepare_elements(const Cpu& cpu, const Graph& graph, const Node& node, Binary simd::ElementKernels::*kernel);

}  // namespace node_cudnn::cpu
