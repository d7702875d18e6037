// What a convolution with a prologue reads, where no engine makes it on the way (scale_relu.cu).
#pragma once

#include "backend/cuda/cuda.h"

namespace node_cudnn::cuda {

// y = relu(scale * x + shift), or relu(scale * x + shift + residual) where there is one, of x [rows][channels]; all of
// them of one type.
void scale_relu(Cuda& cuda, DType dtype, const void* x, const void* scale, const void* shift, const void* residual,
                int64_t rows, int64_t channels, void* y);

}  // namespace node_cudnn::cuda
