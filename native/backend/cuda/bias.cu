#include "backend/cuda/columns.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

struct Sum {
  float sum;
  __device__ void merge(const Sum& other) { sum += other.sum; }
};

template <class T>
struct SumRows {
  const T* dy;

  template <int V>
  __device__ auto column(int64_t) const {
    return [dy = dy](int64_t offset, Sum* sums) {
      const auto values = load<V>(dy + offset);
      for (int k = 0; k < V; ++k) sums[k].sum += to_float(values.at[k]);
    };
  }
};

struct StoreSum {
  float* db;
  __device__ void operator()(int64_t channel, const Sum& sum) const { db[channel] = sum.sum; }
};

}  // namespace

Prepared prepare_bias_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 1);
  const ValueType& dy = input_type(graph, node, 0);
  expect_float("dy", dy);
  expect(dy.shape.size() == 2 || (dy.shape.size() == 4 && dy.format == Format::activation),
         "dy must be [N, C] or an activation [N, C, H, W]");
  const int64_t channels = dy.shape[1], rows = elements(dy.shape) / channels;
  expect_type("db", output_type(graph, node, 0), plain(DType::float32, {channels}));
  return with_float(dy.dtype, [&]<class T>(std::type_identity<T>) {
    return with_vector<T>(channels, [&]<int V>(std::integral_constant<int, V>) {
      const Columns columns = make_columns(cuda, rows, channels, V);
      return prepared(
          "cuda",
          [&cuda, columns](const Arguments& a) {
            reduce_columns<V, Sum>(cuda, columns, SumRows<T>{input<T>(a, 0)}, StoreSum{output<float>(a, 0)},
                                   a.workspace);
          },
          partial_bytes<Sum>(columns));
    });
  });
}

}  // namespace node_cudnn::cuda
