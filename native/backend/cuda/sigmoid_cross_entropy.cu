#include "backend/cuda/ops.h"
#include "backend/cuda/rows.h"

namespace node_cudnn::cuda {
namespace {

struct Sizes {
  int64_t batch, classes;
  float smoothing;
  bool indexed;  // targets are class indices, not probabilities
};

// Of one run; one of both is missing.
struct Targets {
  Sizes s;
  const int32_t* labels;
  const float* probabilities;

  __device__ bool gives_nothing(int64_t n) const { return labels && (labels[n] < 0 || labels[n] >= s.classes); }
  __device__ float at(int64_t n, int64_t k) const {
    const float target = labels ? static_cast<float>(labels[n] == k) : probabilities[n * s.classes + k];
    return target * (1 - s.smoothing) + s.smoothing / 2;
  }
};

template <int V, class T>
__global__ void __launch_bounds__(block_threads)
    row_losses_kernel(Targets targets, Labels allowed, const T* logits, float* losses) {
  const int64_t row = warp_row();
  if (row >= targets.s.batch) return;  // a whole warp
  float loss = 0;
  for_columns<V>(targets.s.classes, [&](int64_t k) {
    const auto values = load<V>(logits + row * targets.s.classes + k);
    for (int i = 0; i < V; ++i) {
      const float x = to_float(values.at[i]), above = x < 0 ? 0 : x;  // a NaN stays
      loss += above - x * targets.at(row, k + i) + log1pf(expf(-fabsf(x)));
    }
  });
  loss = warp_sum(loss);
  if (threadIdx.x != 0) return;
  losses[row] = targets.gives_nothing(row) ? 0 : loss;
  if (targets.labels) allowed.expect(row, targets.labels[row]);
}

__global__ void __launch_bounds__(block_threads)
    mean_of_elements_kernel(Targets targets, const float* losses, float* loss) {
  float sum = 0;
  for (int64_t n = threadIdx.x; n < targets.s.batch; n += blockDim.x) sum += losses[n];
  sum = block_sum(sum);
  const int rows = count_rows(targets.s.batch, targets.labels);
  if (threadIdx.x == 0) *loss = sum / static_cast<float>(rows * targets.s.classes);
}

template <int V, class T>
__global__ void __launch_bounds__(block_threads)
    sigmoid_gradient_kernel(Targets targets, const float* dloss, const T* logits, T* dlogits) {
  const int64_t classes = targets.s.classes;
  const int rows = count_rows(targets.s.batch, targets.labels);
  const float scale = *dloss / static_cast<float>(rows * classes);
  for (int64_t row = blockIdx.x; row < targets.s.batch; row += gridDim.x) {
    const bool nothing = targets.gives_nothing(row);
    for (int64_t k = int64_t{threadIdx.x} * V; k < classes; k += int64_t{blockDim.x} * V) {
      auto values = load<V>(logits + row * classes + k);
      for (int j = 0; j < V; ++j) {
        const float probability = 1 / (1 + expf(-to_float(values.at[j])));
        const float slope = scale * (probability - targets.at(row, k + j));
        values.at[j] = from_float<T>(nothing ? 0 : slope);
      }
      store(dlogits + row * classes + k, values);
    }
  }
}

Sizes make_sizes(const Node& node, const ValueType& logits, const ValueType& targets, const ValueType& loss) {
  const double smoothing = expect_sigmoid_cross_entropy(node, logits, targets, loss);
  return {logits.shape[0], logits.shape[1], static_cast<float>(smoothing), targets.dtype == DType::int32};
}

Targets targets_of(const Sizes& s, const Arguments& a, size_t i) {
  return {s, s.indexed ? input<int32_t>(a, i) : nullptr, s.indexed ? nullptr : input<float>(a, i)};
}

}  // namespace

Prepared prepare_sigmoid_cross_entropy(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType& logits = input_type(graph, node, 0);
  const Sizes s = make_sizes(node, logits, input_type(graph, node, 1), output_type(graph, node, 0));
  const Labels allowed = make_labels(cuda, node, s.classes);
  return with_float(logits.dtype, [&]<class T>(std::type_identity<T>) {
    return with_vector<T>(s.classes, [&]<int V>(std::integral_constant<int, V>) {
      const auto run = [s, allowed, &cuda](const Arguments& a) {
        const Targets targets = targets_of(s, a, 1);
        auto* losses = static_cast<float*>(a.workspace);
        launch_rows(cuda, s.batch, row_losses_kernel<V, T>, targets, allowed, input<T>(a, 0), losses);
        launch(mean_of_elements_kernel, 1, block_threads, 0, cuda.stream, targets, losses, output<float>(a, 0));
      };
      return prepared("cuda", run, static_cast<size_t>(s.batch) * sizeof(float));
    });
  });
}

Prepared prepare_sigmoid_cross_entropy_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 3, 1);
  const ValueType& logits = input_type(graph, node, 1);
  const Sizes s = make_sizes(node, logits, input_type(graph, node, 2), input_type(graph, node, 0));
  expect_type("dlogits", output_type(graph, node, 0), logits);
  return with_float(logits.dtype, [&]<class T>(std::type_identity<T>) {
    return with_vector<T>(s.classes, [&]<int V>(std::integral_constant<int, V>) {
      const auto run = [s, &cuda](const Arguments& a) {
        launch(sigmoid_gradient_kernel<V, T>, blocks_for(cuda, s.batch, 1), block_threads, 0, cuda.stream,
               targets_of(s, a, 2), input<float>(a, 0), input<T>(a, 1), output<T>(a, 0));
      };
      return prepared("cuda", run, 0, {{0, 1}});
    });
  });
}

}  // namespace node_cudnn::cuda
