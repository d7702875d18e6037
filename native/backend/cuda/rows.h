// A matrix [rows][columns] done row by row, each by a warp, and the means over rows of which a label of -1 leaves some
// out.
#pragma once

#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"
#include "backend/labels.h"

namespace node_cudnn::cuda {

constexpr int rows_per_block = block_threads / warp_size;

// In a kernel that launch_rows() starts; a whole warp has the same one.
__device__ inline int64_t warp_row() { return int64_t{blockIdx.x} * rows_per_block + threadIdx.y; }

template <class... P, class... A>
void launch_rows(const Cuda& cuda, int64_t rows, void (*kernel)(P...), A&&... arguments) {
  const auto blocks = static_cast<unsigned>((rows + rows_per_block - 1) / rows_per_block);
  launch(kernel, blocks, dim3(warp_size, rows_per_block), 0, cuda.stream, std::forward<A>(arguments)...);
}

// Calls body(k) for the first of every V neighbours that fall to this lane.
template <int V, class Index, class Body>
__device__ void for_columns(Index columns, const Body& body) {
  for (Index k = static_cast<Index>(threadIdx.x) * V; k < columns; k += warp_size * V) body(k);
}

// Where a kernel complains of a label that is none of the classes, nor -1. The row gives nothing: no loss, no gradient.
struct Labels {
  int64_t classes;
  Fault* fault;
  int site;

  __device__ void expect(int64_t row, int label) const {
    if (label < -1 || label >= classes) complain(fault, site, row, label);
  }
};

inline Labels make_labels(Cuda& cuda, const Node& node, int64_t classes) {
  const std::string name = node.path.empty() ? node.op : node.op + " " + node.path;
  const int site = cuda.add_fault(
      [=](const Fault& fault) { return name + ": " + wrong_label(fault.position, fault.value, classes); });
  return {classes, cuda.fault, site};
}

// How many of the rows count, at least 1; without labels, all. Summed by the whole block, along x.
__device__ inline int count_rows(int64_t rows, const int32_t* labels) {
  int count = 0;
  for (int64_t n = threadIdx.x; n < rows; n += blockDim.x) count += labels == nullptr || labels[n] != -1;
  count = block_sum(count);
  return count > 1 ? count : 1;
}

}  // namespace node_cudnn::cuda
