// A convolution and what is fused with it, as the operations of a cuDNN graph.
#pragma once

#include "backend/cuda/libraries/graph.h"

namespace node_cudnn::cuda {

std::vector<Descriptor> operations(const CudnnFunctions& cudnn, const Convolution& c);

// The tensors that are not virtual, in the order of a node's inputs and outputs; the last `outputs_of` are the outputs.
std::vector<int64_t> uids(const Convolution& c);
size_t outputs_of(const Convolution& c);

// Of float32 per channel of x: what an engine writes, and nobody reads.
std::vector<int64_t> spare_uids(const Convolution& c);

}  // namespace node_cudnn::cuda
