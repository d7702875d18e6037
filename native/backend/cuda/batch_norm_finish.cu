// What sums of a channel make of a normalisation: its statistics, and scale and shift for the convolution behind it.
#include "backend/cuda/batch_norm.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

template <class T>
struct Finish {
  const float *weight, *bias, *sum, *square_sum;
  float *mean, *invstd, *running_mean, *running_var;
  T *scale, *shift;
  float rows, epsilon, momentum;

  __device__ void operator()(int64_t channel) const {
    const float centre = sum[channel] / rows;
    const float squares = not_negative(fmaf(-centre, sum[channel], square_sum[channel]));
    const float inverse = 1.0f / sqrtf(squares / rows + epsilon), slope = weight[channel] * inverse;
    mean[channel] = centre;
    invstd[channel] = inverse;
    blend(running_mean + channel, centre);
    blend(running_var + channel, squares / (rows - 1));
    scale[channel] = from_float<T>(slope);
    shift[channel] = from_float<T>(fmaf(-centre, slope, bias[channel]));
  }
  __device__ void blend(float* running, float batch) const { *running = (1 - momentum) * *running + momentum * batch; }
};

template <class T>
__global__ void __launch_bounds__(block_threads) finish_kernel(Finish<T> finish, int64_t channels) {
  if (thread_index() < channels) finish(thread_index());
}

}  // namespace

Prepared prepare_batch_norm_finish(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 5, 6);
  const ValueType& x = input_type(graph, node, 0);
  const Dims dims = expect_batch(x);
  const auto epsilon = static_cast<float>(expect_number(node, "epsilon", 0, 1e30));
  const auto momentum = static_cast<float>(expect_number(node, "momentum", 0, 1));
  expect_channel_inputs(graph, node, 1, dims.c, {"weight", "bias", "sum", "square_sum"});
  expect_channel_outputs(graph, node, 0, dims.c, {"mean", "invstd", "running_mean", "running_var"});
  expect_type("scale", output_type(graph, node, 4), plain(x.dtype, {dims.c}));
  expect_type("shift", output_type(graph, node, 5), plain(x.dtype, {dims.c}));
  return with_float(x.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared("cuda", [=, &cuda](const Arguments& a) {
      const auto in = [&](size_t i) { return input<float>(a, i); };
      const auto out = [&](size_t i) { return output<float>(a, i); };
      const Finish<T> finish{in(1),
                             in(2),
                             in(3),
                             in(4),
                             out(0),
                             out(1),
                             out(2),
                             out(3),
                             output<T>(a, 4),
                             output<T>(a, 5),
                             static_cast<float>(dims.pixels()),
                             epsilon,
                             momentum};
      launch(finish_kernel<T>, blocks_of(dims.c), block_threads, 0, cuda.stream, finish, dims.c);
    });
  });
}

}  // namespace node_cudnn::cuda
