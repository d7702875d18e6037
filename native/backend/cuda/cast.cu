#include "backend/cuda/elementwise.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

struct Same {
  __device__ float operator()(float x) const { return x; }
};

// Also from whole numbers: labels and pixels.
template <class Function>
auto with_source(const ValueType& x, Function&& f) {
  if (x.dtype == DType::int32) return f(std::type_identity<int32_t>{});
  if (x.dtype == DType::uint8) return f(std::type_identity<uint8_t>{});
  expect_float("x", x);
  return with_float(x.dtype, f);
}

}  // namespace

Prepared prepare_cast(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 1);
  const ValueType &x = input_type(graph, node, 0), &y = output_type(graph, node, 0);
  expect_float("y", y);
  expect_type("y", y, {y.dtype, x.format, x.shape});
  const int64_t count = elements(x.shape);
  return with_source(x, [&]<class From>(std::type_identity<From>) {
    return with_float(y.dtype, [&]<class To>(std::type_identity<To>) {
      return prepared("cuda", [&cuda, count](const Arguments& a) {
        map(cuda, Same{}, count, output<To>(a, 0), input<From>(a, 0));
      });
    });
  });
}

void widen(Cuda& cuda, DType from, const void* source, float* target, int64_t count) {
  with_float(from,
             [&]<class T>(std::type_identity<T>) { map(cuda, Same{}, count, target, static_cast<const T*>(source)); });
}

void narrow(Cuda& cuda, const float* source, DType to, void* target, int64_t count) {
  with_float(to, [&]<class T>(std::type_identity<T>) { map(cuda, Same{}, count, static_cast<T*>(target), source); });
}

}  // namespace node_cudnn::cuda
