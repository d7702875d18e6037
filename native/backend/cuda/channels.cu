// Activations and filters with more or fewer channels: what lies behind a pixel or a position of a window.
#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"

namespace node_cudnn::cuda {
namespace {

// A thread does a row: they are short.
template <int V, class T>
__global__ void __launch_bounds__(block_threads)
    resize_channels_kernel(int64_t rows, int from, int to, const T* source, T* target) {
  for (int64_t row = thread_index(); row < rows; row += thread_count()) {
    for (int begin = 0; begin < to; begin += V) {
      Vector<T, V> values;
      for (int k = 0; k < V; ++k) {
        const int channel = begin + k;
        values.at[k] = channel < from ? source[row * from + channel] : from_float<T>(0);
      }
      store(target + row * to + begin, values);
    }
  }
}

}  // namespace

void resize_channels(Cuda& cuda, DType dtype, const void* source, int64_t rows, int64_t from, int64_t to,
                     void* target) {
  with_float(dtype, [&]<class T>(std::type_identity<T>) {
    with_vector<T>(to, [&]<int V>(std::integral_constant<int, V>) {
      launch(resize_channels_kernel<V, T>, blocks_for(cuda, rows), block_threads, 0, cuda.stream, rows, from, to,
             static_cast<const T*>(source), static_cast<T*>(target));
    });
  });
}

}  // namespace node_cudnn::cuda
