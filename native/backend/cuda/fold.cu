// Normalisation by running statistics, made part of the convolution before it: one pass over its weights.
#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

struct Norm {
  const float *weight, *bias, *mean, *variance;
  float epsilon;
  __device__ float scale(int64_t o) const { return weight[o] / sqrtf(variance[o] + epsilon); }
};

// Filters lie [o][kh][kw][i]: the `row` numbers of an output are neighbours. A block does one output.
template <class T>
__global__ void __launch_bounds__(block_threads)
    fold_kernel(Norm norm, const float* w, int64_t row, T* y, float* shift) {
  const int64_t o = blockIdx.x;
  const float scale = norm.scale(o);
  for (int64_t i = threadIdx.x; i < row; i += blockDim.x) y[o * row + i] = from_float<T>(w[o * row + i] * scale);
  if (threadIdx.x == 0) shift[o] = norm.bias[o] - norm.mean[o] * scale;
}

}  // namespace

Prepared prepare_fold_batch_norm(Cuda& cuda, const Graph& graph, const Node& node) {
  const auto epsilon = static_cast<float>(expect_fold_batch_norm(graph, node));
  const ValueType &w = input_type(graph, node, 0), &y = output_type(graph, node, 0);
  const int64_t outputs = w.shape[0], row = elements(w.shape) / outputs;
  return with_float(y.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared("cuda", [=, &cuda](const Arguments& a) {
      const Norm norm{input<float>(a, 1), input<float>(a, 2), input<float>(a, 3), input<float>(a, 4), epsilon};
      launch(fold_kernel<T>, static_cast<unsigned>(outputs), block_threads, 0, cuda.stream, norm, input<float>(a, 0),
             row, output<T>(a, 0), output<float>(a, 1));
    });
  });
}

}  // namespace node_cudnn::cuda
