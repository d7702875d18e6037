#include "backend/cuda/columns.h"
#include "backend/cuda/scale_relu.h"

namespace node_cudnn::cuda {
namespace {

template <class T>
struct ScaleRelu {
  const T *x, *scale, *shift, *residual;
  T* y;

  template <int V>
  __device__ auto column(int64_t channel) const {
    const auto scales = load<V>(scale + channel), shifts = load<V>(shift + channel);
    float slope[V], offset_of[V];
    for (int k = 0; k < V; ++k) {
      slope[k] = to_float(scales.at[k]);
      offset_of[k] = to_float(shifts.at[k]);
    }
    return [=, *this](int64_t offset) {
      const auto values = load<V>(x + offset);
      Vector<T, V> result, added = {};
      if (residual != nullptr) added = load<V>(residual + offset);
      for (int k = 0; k < V; ++k) {
        const float value = fmaf(to_float(values.at[k]), slope[k], offset_of[k]) + to_float(added.at[k]);
        result.at[k] = from_float<T>(value < 0 ? 0 : value);  // a NaN stays
      }
      store(y + offset, result);
    };
  }
};

}  // namespace

void scale_relu(Cuda& cuda, DType dtype, const void* x, const void* scale, const void* shift, const void* residual,
                int64_t rows, int64_t channels, void* y) {
  with_float(dtype, [&]<class T>(std::type_identity<T>) {
    with_vector<T>(channels, [&]<int V>(std::integral_constant<int, V>) {
      const auto of = [](const void* values) { return static_cast<const T*>(values); };
      map_columns<V>(cuda, make_columns(cuda, rows, channels, V),
                     ScaleRelu<T>{of(x), of(scale), of(shift), of(residual), static_cast<T*>(y)});
    });
  });
}

}  // namespace node_cudnn::cuda
