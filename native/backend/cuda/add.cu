#include "backend/cuda/elementwise.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

struct Add {
  __device__ float operator()(float a, float b) const { return a + b; }
};

}  // namespace

Prepared prepare_add(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType& a = input_type(graph, node, 0);
  expect_float("a", a);
  expect_type("b", input_type(graph, node, 1), a);
  expect_type("y", output_type(graph, node, 0), a);
  const int64_t count = elements(a.shape);
  return with_float(a.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared("cuda",
                    [&cuda, count](const Arguments& given) {
                      map(cuda, Add{}, count, output<T>(given, 0), input<T>(given, 0), input<T>(given, 1));
                    },
                    0, {{0, 0}, {0, 1}});
  });
}

}  // namespace node_cudnn::cuda
