#include "backend/cuda/elementwise.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

struct Tanh {
  __device__ float operator()(float x) const { return tanhf(x); }
};

struct TanhGradient {
  __device__ float operator()(float dy, float y) const { return dy * (1 - y * y); }
};

}  // namespace

Prepared prepare_tanh(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_map<1>(cuda, graph, node, Tanh{});
}
Prepared prepare_tanh_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_map<2>(cuda, graph, node, TanhGradient{});
}

}  // namespace node_cudnn::cuda
