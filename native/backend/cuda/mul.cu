#include "backend/cuda/elementwise.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

struct Multiply {
  __device__ float operator()(float a, float b) const { return a * b; }
};

}  // namespace

Prepared prepare_mul(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_map<2>(cuda, graph, node, Multiply{});
}

}  // namespace node_cudnn::cuda
