#include "backend/cuda/elementwise.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

struct Rectify {
  __device__ float operator()(float x) const { return x < 0 ? 0 : x; }  // a NaN stays
};

struct AddRectify {
  __device__ float operator()(float x, float residual) const { return Rectify{}(x + residual); }
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

void rectify(Cuda& cuda, DType dtype, void* y, const void* residual, int64_t count) {
  with_float(dtype, [&]<class T>(std::type_identity<T>) {
    auto* values = static_cast<T*>(y);
    if (residual)
      map(cuda, AddRectify{}, count, values, values, static_cast<const T*>(residual));
    else
      map(cuda, Rectify{}, count, values, values);
  });
}

}  // namespace node_cudnn::cuda
