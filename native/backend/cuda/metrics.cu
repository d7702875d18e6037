#include <limits>

#include "backend/cuda/ops.h"
#include "backend/cuda/rows.h"

namespace node_cudnn::cuda {
namespace {

// A warp takes a row: fewer than k classes must stand before the label's, larger logits or equal ones of lower index.
template <class T>
__global__ void __launch_bounds__(block_threads)
    topk_rows_kernel(int64_t batch, int64_t classes, int64_t k, const T* logits, const int32_t* labels, int* hits) {
  const int64_t row = warp_row();
  if (row >= batch) return;  // a whole warp
  const int label = labels[row];
  const bool valid = label >= 0 && label < classes;
  const T* own = logits + row * classes;
  const float mine = valid ? to_float(own[label]) : 0;
  int rank = 0;
  for (int64_t c = threadIdx.x; c < classes; c += warp_size) {
    const float other = to_float(own[c]);
    rank += other > mine || (other == mine && c < label);
  }
  rank = warp_sum(rank);
  if (threadIdx.x == 0) hits[row] = valid && mine == mine && rank < k;
}

__global__ void __launch_bounds__(block_threads) sum_hits_kernel(int64_t batch, const int* hits, int32_t* count) {
  int sum = 0;
  for (int64_t n = threadIdx.x; n < batch; n += blockDim.x) sum += hits[n];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *count = sum;
}

template <class Word>
__global__ void ring_write_kernel(int64_t length, const Word* value, const int32_t* step, Word* ring) {
  const int64_t at = *step;
  ring[(at % length + length) % length] = *value;
}

__global__ void increment_kernel(uint32_t* counter, uint32_t by) { *counter += by; }  // wraps, as counters do

// Calls f with a std::type_identity of a whole number as large as the dtype.
template <class Function>
Prepared with_word(DType dtype, Function&& f) {
  switch (size_of(dtype)) {
    case 1:
      return f(std::type_identity<uint8_t>{});
    case 2:
      return f(std::type_identity<uint16_t>{});
    case 4:
      return f(std::type_identity<uint32_t>{});
    default:
      return f(std::type_identity<uint64_t>{});
  }
}

}  // namespace

Prepared prepare_topk_correct(Cuda& cuda, const Graph& graph, const Node& node) {
  const int64_t k = expect_topk_correct(graph, node);
  const ValueType& logits = input_type(graph, node, 0);
  const int64_t batch = logits.shape[0], classes = logits.shape[1];
  return with_float(logits.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared(
        "cuda",
        [=, &cuda](const Arguments& a) {
          auto* hits = static_cast<int*>(a.workspace);
          launch_rows(cuda, batch, topk_rows_kernel<T>, batch, classes, k, input<T>(a, 0), input<int32_t>(a, 1), hits);
          launch(sum_hits_kernel, 1, block_threads, 0, cuda.stream, batch, hits, output<int32_t>(a, 0));
        },
        static_cast<size_t>(batch) * sizeof(int));
  });
}

Prepared prepare_ring_write(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_ring_write(graph, node);
  const ValueType &value = input_type(graph, node, 0), &ring = output_type(graph, node, 0);
  const int64_t length = ring.shape[0];
  return with_word(value.dtype, [&]<class Word>(std::type_identity<Word>) {
    return prepared("cuda", [=, &cuda](const Arguments& a) {
      launch(ring_write_kernel<Word>, 1, 1, 0, cuda.stream, length, input<Word>(a, 0), input<int32_t>(a, 1),
             output<Word>(a, 0));
    });
  });
}

Prepared prepare_increment(Cuda& cuda, const Graph& graph, const Node& node) {
  const uint32_t by = expect_increment(graph, node);
  return prepared("cuda", [=, &cuda](const Arguments& a) {
    launch(increment_kernel, 1, 1, 0, cuda.stream, output<uint32_t>(a, 0), by);
  });
}

}  // namespace node_cudnn::cuda
