#include "backend/cuda/ops.h"
#include "backend/cuda/rows.h"

namespace node_cudnn::cuda {
namespace {

struct Sizes {
  int64_t batch, classes;
  float smoothing;

  __device__ bool is_class(int label) const { return label >= 0 && label < classes; }
  __device__ float target(int64_t k, int label) const {
    return (k == label ? 1 - smoothing : 0) + smoothing / static_cast<float>(classes);
  }
};

// A warp takes a row: its softmax, and its cross entropy.
template <class T>
__global__ void __launch_bounds__(block_threads)
    softmax_rows_kernel(Sizes s, Labels allowed, const T* logits, const int32_t* labels, float* probabilities,
                        float* losses) {
  const int64_t row = warp_row();
  if (row >= s.batch) return;  // a whole warp
  const T* own = logits + row * s.classes;
  const int label = labels[row];
  float largest = -INFINITY, sum = 0, loss = 0;
  for (int64_t k = threadIdx.x; k < s.classes; k += warp_size) largest = fmaxf(largest, to_float(own[k]));
  largest = warp_max(largest);
  for (int64_t k = threadIdx.x; k < s.classes; k += warp_size) sum += expf(to_float(own[k]) - largest);
  const float log_sum = logf(warp_sum(sum));
  for (int64_t k = threadIdx.x; k < s.classes; k += warp_size) {
    const float log_probability = to_float(own[k]) - largest - log_sum, target = s.target(k, label);
    probabilities[row * s.classes + k] = expf(log_probability);
    if (target != 0) loss -= target * log_probability;
  }
  loss = warp_sum(loss);
  if (threadIdx.x != 0) return;
  losses[row] = s.is_class(label) ? loss : 0;
  allowed.expect(row, label);
}

__global__ void __launch_bounds__(block_threads)
    mean_loss_kernel(int64_t batch, const int32_t* labels, const float* losses, float* loss) {
  float sum = 0;
  for (int64_t n = threadIdx.x; n < batch; n += blockDim.x) sum += losses[n];
  sum = block_sum(sum);
  const int count = count_rows(batch, labels);
  if (threadIdx.x == 0) *loss = sum / static_cast<float>(count);
}

template <class T>
__global__ void __launch_bounds__(block_threads)
    softmax_gradient_kernel(Sizes s, const float* dloss, const float* probabilities, const int32_t* labels,
                            T* dlogits) {
  const float scale = *dloss / static_cast<float>(count_rows(s.batch, labels));
  for (int64_t row = blockIdx.x; row < s.batch; row += gridDim.x) {
    const int label = labels[row];
    for (int64_t k = threadIdx.x; k < s.classes; k += blockDim.x) {
      const float gradient = scale * (probabilities[row * s.classes + k] - s.target(k, label));
      dlogits[row * s.classes + k] = from_float<T>(s.is_class(label) ? gradient : 0);
    }
  }
}

Sizes make_sizes(const Node& node, const ValueType& logits, const ValueType& labels, const ValueType& loss,
                 const ValueType& probabilities) {
  const double smoothing = expect_softmax_cross_entropy(node, logits, labels, probabilities, loss);
  return {logits.shape[0], logits.shape[1], static_cast<float>(smoothing)};
}

}  // namespace

Prepared prepare_softmax_cross_entropy(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 2);
  const ValueType& logits = input_type(graph, node, 0);
  const Sizes s =
      make_sizes(node, logits, input_type(graph, node, 1), output_type(graph, node, 0), output_type(graph, node, 1));
  const Labels allowed = make_labels(cuda, node, s.classes);
  return with_float(logits.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared(
        "cuda",
        [=, &cuda](const Arguments& a) {
          const auto* labels = input<int32_t>(a, 1);
          auto* losses = static_cast<float*>(a.workspace);
          launch_rows(cuda, s.batch, softmax_rows_kernel<T>, s, allowed, input<T>(a, 0), labels, output<float>(a, 1),
                      losses);
          launch(mean_loss_kernel, 1, block_threads, 0, cuda.stream, s.batch, labels, losses, output<float>(a, 0));
        },
        static_cast<size_t>(s.batch) * sizeof(float));
  });
}

Prepared prepare_softmax_cross_entropy_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 3, 1);
  const ValueType& dlogits = output_type(graph, node, 0);
  const Sizes s =
      make_sizes(node, dlogits, input_type(graph, node, 2), input_type(graph, node, 0), input_type(graph, node, 1));
  return with_float(dlogits.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared("cuda", [=, &cuda](const Arguments& a) {
      launch(softmax_gradient_kernel<T>, blocks_for(cuda, s.batch, 1), block_threads, 0, cuda.stream, s,
             input<float>(a, 0), input<float>(a, 1), input<int32_t>(a, 2), output<T>(a, 0));
    });
  });
}

}  // namespace node_cudnn::cuda
