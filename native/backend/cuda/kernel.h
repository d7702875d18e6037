// What the ops of this back end share on the host's side, beside what all back ends do: kernels that several of them
// start.
#pragma once

#include "backend/common/kernel.h"
#include "backend/common/operands.h"
#include "backend/cuda/cuda.h"

namespace node_cudnn::cuda {

// cast.cu: `count` numbers of a half type as float32.
void widen(Cuda& cuda, DType from, const void* source, float* target, int64_t count);
// And back.
void narrow(Cuda& cuda, const float* source, DType to, void* target, int64_t count);

// channels.cu: `rows` neighbours of `from` channels as neighbours of `to`: more are zeros, less are left out.
void resize_channels(Cuda& cuda, DType dtype, const void* source, int64_t rows, int64_t from, int64_t to, void* target);
// relu.cu: y = relu(y), or relu(y + residual) where there is one.
void rectify(Cuda& cuda, DType dtype, void* y, const void* residual, int64_t count);
// statistics.cu: of y [rows][channels], over the rows of each channel.
void sum_channels(Cuda& cuda, DType dtype, const void* y, int64_t rows, int64_t channels, float* sum, float* square_sum,
                  void* workspace);
size_t sum_channels_bytes(const Cuda& cuda, DType dtype, int64_t rows, int64_t channels);

}  // namespace node_cudnn::cuda
