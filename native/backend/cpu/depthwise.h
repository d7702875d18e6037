// Own kernels for depthwise convolutions where oneDNN has no optimised ones: a depth multiplier above 1, and weight
// gradients of large windows. Each returns no kernel where oneDNN should serve the node; the caller has checked it.
#pragma once

#include "backend/cpu/cpu.h"

namespace node_cudnn::cpu {

Prepared depthwise_conv2d(const Cpu& cpu, const Graph& graph, const Node& node);
Prepared depthwise_conv2d_dgrad(const Cpu& cpu, const Graph& graph, const Node& node);
Prepared depthwise_conv2d_wgrad(const Cpu& cpu, const Graph& graph, const Node& node);

}  // namespace node_cudnn::cpu
