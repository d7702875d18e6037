// Sums over a channel and over its squares, for convolutions whose engine does not give them.
#include "backend/cuda/columns.h"
#include "backend/cuda/kernel.h"

namespace node_cudnn::cuda {
namespace {

struct Sums {
  float sum, square_sum;
  __device__ void merge(const Sums& other) {
    sum += other.sum;
    square_sum += other.square_sum;
  }
};

template <class T>
struct SumChannel {
  const T* y;

  template <int V>
  __device__ auto column(int64_t) const {
    return [y = y](int64_t offset, Sums* sums) {
      const auto values = load<V>(y + offset);
      for (int k = 0; k < V; ++k) {
        const float value = to_float(values.at[k]);
        sums[k].sum += value;
        sums[k].square_sum += value * value;
      }
    };
  }
};

struct StoreSums {
  float *sum, *square_sum;
  __device__ void operator()(int64_t channel, const Sums& sums) const {
    sum[channel] = sums.sum;
    square_sum[channel] = sums.square_sum;
  }
};

}  // namespace

void sum_channels(Cuda& cuda, DType dtype, const void* y, int64_t rows, int64_t channels, float* sum, float* square_sum,
                  void* workspace) {
  with_float(dtype, [&]<class T>(std::type_identity<T>) {
    with_vector<T>(channels, [&]<int V>(std::integral_constant<int, V>) {
      reduce_columns<V, Sums>(cuda, make_columns(cuda, rows, channels, V), SumChannel<T>{static_cast<const T*>(y)},
                              StoreSums{sum, square_sum}, workspace);
    });
  });
}

size_t sum_channels_bytes(const Cuda& cuda, DType dtype, int64_t rows, int64_t channels) {
  return with_float(dtype, [&]<class T>(std::type_identity<T>) {
    return with_vector<T>(channels, [&]<int V>(std::integral_constant<int, V>) {
      return partial_bytes<Sums>(make_columns(cuda, rows, channels, V));
    });
  });
}

}  // namespace node_cudnn::cuda
