#include "backend/cuda/elementwise.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

struct Constant {
  float value;
  __device__ float operator()() const { return value; }
};

}  // namespace

Prepared prepare_fill(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 0, 1);
  const ValueType& y = output_type(graph, node, 0);
  expect_float("y", y);
  const Constant constant{static_cast<float>(node.attributes.number("value"))};
  const int64_t count = elements(y.shape);
  return with_float(y.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared("cuda",
                    [&cuda, count, constant](const Arguments& a) { map(cuda, constant, count, output<T>(a, 0)); });
  });
}

}  // namespace node_cudnn::cuda
