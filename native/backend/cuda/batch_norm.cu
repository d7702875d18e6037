#include "backend/cuda/batch_norm.h"
#include "backend/cuda/beside.h"
#include "backend/cuda/ops.h"
#include "backend/cuda/slices.h"

namespace node_cudnn::cuda {

namespace {

template <class T>
struct Measure {
  const T* x;

  template <int V>
  __device__ auto column(int64_t) const {
    return [x = x](int64_t offset, Moments* moments) {
      const auto values = load<V>(x + offset);
      const float count = moments[0].count + 1, reciprocal = 1.0f / count;
      for (int k = 0; k < V; ++k) {
        moments[k].count = count;
        moments[k].add(to_float(values.at[k]), reciprocal);
      }
    };
  }
};

struct StoreStatistics {
  float *mean, *invstd, *running_mean, *running_var;
  float rows, epsilon, momentum;

  __device__ void operator()(int64_t channel, const Moments& moments) const {
    const float variance = moments.squares / rows;
    mean[channel] = moments.mean;
    invstd[channel] = 1.0f / sqrtf(variance + epsilon);
    blend(running_mean + channel, moments.mean);
    blend(running_var + channel, moments.squares / (rows - 1));
  }
  // Where a plan has left mean and invstd.
  __device__ void blend_kept(int64_t channel) const {
    const float spread = 1.0f / invstd[channel], variance = not_negative(fmaf(spread, spread, -epsilon));
    blend(running_mean + channel, mean[channel]);
    blend(running_var + channel, variance * rows / (rows - 1));
  }
  __device__ void blend(float* running, float batch) const { *running = (1 - momentum) * *running + momentum * batch; }
};

__global__ void __launch_bounds__(block_threads)
    finish_sums_kernel(StoreStatistics finish, int64_t channels, const float* sum, const float* square_sum) {
  const int64_t channel = thread_index();
  if (channel >= channels) return;
  const float mean = sum[channel] / finish.rows;
  finish(channel, {finish.rows, mean, not_negative(fmaf(-mean, sum[channel], square_sum[channel]))});
}

__global__ void __launch_bounds__(block_threads) blend_kernel(StoreStatistics kept, int64_t channels) {
  if (thread_index() < channels) kept.blend_kept(thread_index());
}

StoreStatistics statistics(const Arguments& a, int64_t rows, float epsilon, float momentum) {
  return {output<float>(a, 1),
          output<float>(a, 2),
          output<float>(a, 3),
          output<float>(a, 4),
          static_cast<float>(rows),
          epsilon,
          momentum};
}

// A plan of cuDNN's, and the running statistics: how cuDNN would weigh a batch's variance is nowhere said.
class Blended final : public Plan {
 public:
  Blended(Cuda& cuda, std::shared_ptr<Plan> plan, const Dims& dims, float epsilon, float momentum)
      : cuda_(cuda), plan_(std::move(plan)), dims_(dims), epsilon_(epsilon), momentum_(momentum) {}

  void run(cudaStream_t stream, const Arguments& a) override {
    plan_->run(stream, a);
    launch(blend_kernel, blocks_of(dims_.c), block_threads, 0, stream,
           statistics(a, dims_.pixels(), epsilon_, momentum_), dims_.c);
  }
  size_t workspace_bytes() const override { return plan_->workspace_bytes(); }

 private:
  Cuda& cuda_;
  std::shared_ptr<Plan> plan_;
  Dims dims_;
  float epsilon_, momentum_;
};

Prepared prepare_training(Cuda& cuda, const Graph& graph, const Node& node, Tail tail, bool summed = false) {
  const size_t residual = adds(tail) ? 1 : 0;
  const BatchNorm given = expect_batch_norm(graph, node, tail, summed);
  const ValueType& x = input_type(graph, node, 0);
  const Dims dims = given.dims;
  const auto epsilon = static_cast<float>(given.epsilon), momentum = static_cast<float>(given.momentum);
  const int64_t gap = other_channels(graph, node.outputs[0]);
  InPlace in_place{{0, 0}};
  if (residual) in_place.emplace_back(0, 1);
  Prepared own = with_training_tail(tail, [&]<Tail t>(std::integral_constant<Tail, t>) {
    return with_float(x.dtype, [&]<class T>(std::type_identity<T>) {
      return with_channels<T, t>(dims.c, [&]<int V>(std::integral_constant<int, V>) {
        const Columns columns = make_columns(cuda, dims.pixels(), dims.c, V);
        return prepared(
            "cuda",
            [=, &cuda](const Arguments& a) {
              const StoreStatistics finish = statistics(a, columns.rows, epsilon, momentum);
              if (summed)
                launch(finish_sums_kernel, blocks_of(dims.c), block_threads, 0, cuda.stream, finish, dims.c,
                       input<float>(a, 3 + residual), input<float>(a, 4 + residual));
              else
                reduce_columns<V, Moments>(cuda, columns, Measure<T>{input<T>(a, 0)}, finish, a.workspace);
              map_columns<V>(
                  cuda, columns,
                  Normalise<T, t>{input<T>(a, 0), residual ? input<T>(a, 1) : nullptr, output<T>(a, 0), finish.mean,
                                  finish.invstd, input<float>(a, 1 + residual), input<float>(a, 2 + residual), -1, gap,
                                  t == Tail::add_relu_mask ? output<uint8_t>(a, 5) : nullptr});
            },
            summed ? size_t{0} : partial_bytes<Moments>(columns), in_place);
      });
    });
  });
  if (summed || tail == Tail::add_relu_mask) return own;
  const Normalization normalization{
      false, x.dtype, {dims.n, dims.c, dims.h, dims.w}, residual != 0, tail != Tail::none, epsilon};
  return beside(cuda, graph, node, normalization, std::move(own), [=, &cuda](std::shared_ptr<Plan> plan) {
    return std::make_unique<Blended>(cuda, std::move(plan), dims, epsilon, momentum);
  });
}

}  // namespace

Prepared prepare_batch_norm(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_training(cuda, graph, node, Tail::none);
}
Prepared prepare_batch_norm_relu(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_training(cuda, graph, node, Tail::relu);
}
Prepared prepare_batch_norm_add_relu(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_training(cuda, graph, node, Tail::add_relu);
}
Prepared prepare_batch_norm_add_relu_mask(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_training(cuda, graph, node, Tail::add_relu_mask);
}
Prepared prepare_batch_norm_summed(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_training(cuda, graph, node, Tail::none, true);
}
Prepared prepare_batch_norm_summed_relu(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_training(cuda, graph, node, Tail::relu, true);
}
Prepared prepare_batch_norm_summed_add_relu(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_training(cuda, graph, node, Tail::add_relu, true);
}
Prepared prepare_batch_norm_summed_add_relu_mask(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_training(cuda, graph, node, Tail::add_relu_mask, true);
}

}  // namespace node_cudnn::cuda
