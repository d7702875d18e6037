// Activations and filters with more or fewer channels: what lies behind a pixel or a position of a window.
#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"

namespace node_cudnn::cuda {
namespace {

template <class T>
__global__ void __launch_bounds__(block_threads)
    resize_channels_kernel(int64_t count, int64_t from, int64_t to, const T* source, T* target) {
  for (int64_t index = thread_index(); index < count; index += thread_count()) {
    const int64_t row = index / to, channel = index % to;
    target[index] = channel < from ? source[row * from + channel] : from_float<T>(0);
  }
}

}  // namespace

void resize_channels(Cuda& cuda, DType dtype, const void* source, int64_t rows, int64_t from, int64_t to,
                     void* target) {
  with_float(dtype, [&]<class T>(std::type_identity<T>) {
    const int64_t count = rows * to;
    launch(resize_channels_kernel<T>, blocks_for(cuda, count), block_threads, 0, cuda.stream, count, from, to,
           static_cast<const T*>(source), static_cast<T*>(target));
  });
}

}  // namespace node_cudnn::cuda
