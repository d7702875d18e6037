#include "backend/cuda/elementwise.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

struct Rectify {
  __device__ float operator()(float x) const { return x < 0 ? 0 : x; }  // a NaN stays
};

struct Mask {
  __device__ float operator()(float dy, float y) const { return y > 0 ? dy : 0; }
};

}  // namespace

Prepared prepare_relu(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_map<1>(cuda, graph, node, Rectify{});
}
Prepared prepare_relu_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_map<2>(cuda, graph, node, Mask{});
}

}  // namespace node_cudnn::cuda
