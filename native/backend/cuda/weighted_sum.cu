#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

constexpr size_t most_terms = 128;  // of a launch

struct Terms {
  const float* values[most_terms];
  float weights[most_terms];
  int count;
};

__global__ void weighted_sum_kernel(Terms terms, bool first, float* y) {
  float sum = first ? 0 : *y;
  for (int i = 0; i < terms.count; ++i) sum += terms.weights[i] * *terms.values[i];
  *y = sum;
}

}  // namespace

Prepared prepare_weighted_sum(Cuda& cuda, const Graph& graph, const Node& node) {
  const std::vector<double> weights = expect_weighted_sum(graph, node);
  return prepared("cuda", [weights, &cuda](const Arguments& a) {
    for (size_t begin = 0; begin < weights.size(); begin += most_terms) {
      Terms terms = {};
      for (size_t i = begin; i < std::min(begin + most_terms, weights.size()); ++i) {
        terms.values[terms.count] = input<float>(a, i);
        terms.weights[terms.count++] = static_cast<float>(weights[i]);
      }
      launch(weighted_sum_kernel, 1, 1, 0, cuda.stream, terms, begin == 0, output<float>(a, 0));
    }
  });
}

}  // namespace node_cudnn::cuda
