// The convolutions of this back end that go through Winograd F(4x4, 3x3): 3x3, stride 1, no dilation, one group,
// float32, channels in whole blocks. Each returns no kernel where the node is not of that kind.
#pragma once

#include "backend/common/operands.h"
#include "backend/cpu/cpu.h"

namespace node_cudnn::cpu {

// Whether `winograd_conv2d` makes a kernel.
bool winograd_serves_conv2d(const Cpu& cpu, const Graph& graph, const Node& node);
Prepared winograd_conv2d(const Cpu& cpu, const Graph& graph, const Node& node, const Epilogue& epilogue);
Prepared winograd_conv2d_dgrad(const Cpu& cpu, const Graph& graph, const Node& node);
Prepared winograd_conv2d_wgrad(const Cpu& cpu, const Graph& graph, const Node& node);

}  // namespace node_cudnn::cpu
