// What a fused data gradient does to its sums, where no engine does it (batch_norm_summed_grad.cu).
#pragma once

#include "backend/cuda/cuda.h"

namespace node_cudnn::cuda {

// Per channel, of a normalisation behind which stands a ReLU.
struct NormParameters {
  const float *weight, *bias, *mean, *invstd;
};

// Of a gradient [rows][channels] behind the ReLU: in its place what the ReLU lets through, and the sums of that over
// the rows, for dweight times the normalised x.
void mask_gradient(Cuda& cuda, DType dtype, void* gradient, const void* x, const NormParameters& norm, int64_t rows,
                   int64_t channels, float* dweight, float* dbias, void* workspace);
size_t mask_gradient_bytes(const Cuda& cuda, DType dtype, int64_t rows, int64_t channels);

}  // namespace node_cudnn::cuda
