#include "backend/cuda/elementwise.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

struct Sigmoid {
  __device__ float operator()(float x) const { return 1 / (1 + expf(-x)); }
};

struct SigmoidGradient {
  __device__ float operator()(float dy, float y) const { return dy * y * (1 - y); }
};

}  // namespace

Prepared prepare_sigmoid(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_map<1>(cuda, graph, node, Sigmoid{});
}
Prepared prepare_sigmoid_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_map<2>(cuda, graph, node, SigmoidGradient{});
}

}  // namespace node_cudnn::cuda
