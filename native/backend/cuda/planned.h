// A node that one plan of a library computes, with the conversions that stand around it: libraries want a bias in the
// type of the other operands, and give a half-precision filter gradient as they sum it, in half precision.
#pragma once

#include "backend/cuda/engines.h"

namespace node_cudnn::cuda {

Prepared planned(Cuda& cuda, const Convolution& convolution);
Prepared planned(Cuda& cuda, const Product& product);

}  // namespace node_cudnn::cuda
