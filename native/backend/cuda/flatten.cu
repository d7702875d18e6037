#include "backend/cuda/elementwise.h"
#include "backend/cuda/ops.h"

namespace node_cudnn::cuda {
namespace {

constexpr int tile = 32, tile_rows = block_threads / tile;

struct Same {
  __device__ float operator()(float x) const { return x; }
};

// [rows][columns] to [columns][rows] for every image (grid.z), tile by tile: reads and writes both run along memory.
template <class T>
__global__ void __launch_bounds__(block_threads) transpose_kernel(int64_t rows, int64_t columns, const T* x, T* y) {
  NODE_CUDNN_SHARED(T, shared, tile * (tile + 1));  // one more column: no two lanes meet in one bank
  const int64_t image = blockIdx.z * rows * columns;
  const int64_t first_column = int64_t{blockIdx.x} * tile, first_row = int64_t{blockIdx.y} * tile;
  for (unsigned i = threadIdx.y; i < tile; i += tile_rows) {
    const int64_t row = first_row + i, column = first_column + threadIdx.x;
    if (row < rows && column < columns) shared[i * (tile + 1) + threadIdx.x] = x[image + row * columns + column];
  }
  __syncthreads();
  for (unsigned i = threadIdx.y; i < tile; i += tile_rows) {
    const int64_t column = first_column + i, row = first_row + threadIdx.x;
    if (row < rows && column < columns) y[image + column * rows + row] = shared[threadIdx.x * (tile + 1) + i];
  }
}

template <class T>
void transpose(const Cuda& cuda, int64_t images, int64_t rows, int64_t columns, const T* x, T* y) {
  constexpr int64_t most = 65535;
  const auto tiles = [](int64_t size) { return static_cast<unsigned>((size + tile - 1) / tile); };
  for (int64_t first = 0; first < images; first += most) {
    const dim3 grid(tiles(columns), tiles(rows), static_cast<unsigned>(std::min(most, images - first)));
    launch(transpose_kernel<T>, grid, dim3(tile, tile_rows), 0, cuda.stream, rows, columns, x + first * rows * columns,
           y + first * rows * columns);
  }
}

// Stored [n][h][w][c], to be [n][c][h][w] in logical order; where one of both is 1, nothing moves.
Prepared prepare_move(Cuda& cuda, const Graph& graph, const Node& node, bool to_flat) {
  expect_counts(node, 1, 1);
  const ValueType &in = input_type(graph, node, 0), &out = output_type(graph, node, 0);
  const ValueType &image = to_flat ? in : out, &flat = to_flat ? out : in;
  const Dims d = expect_activation("image", image);
  expect_type("flattened image", flat, plain(image.dtype, {d.n, d.c * d.plane()}));
  expect(d.plane() <= int64_t{65535} * tile && d.c <= int64_t{65535} * tile, "an image is too large");
  const int64_t rows = to_flat ? d.plane() : d.c, columns = to_flat ? d.c : d.plane();
  return with_float(image.dtype, [&]<class T>(std::type_identity<T>) {
    if (rows == 1 || columns == 1) {
      return prepared("cuda",
                      [=, &cuda](const Arguments& a) {
                        if (a.inputs[0] != a.outputs[0]) map(cuda, Same{}, d.size(), output<T>(a, 0), input<T>(a, 0));
                      },
                      0, {{0, 0}});
    }
    return prepared("cuda", [=, &cuda](const Arguments& a) {
      transpose(cuda, d.n, rows, columns, input<T>(a, 0), output<T>(a, 0));
    });
  });
}

}  // namespace

Prepared prepare_flatten(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_move(cuda, graph, node, true);
}
Prepared prepare_unflatten(Cuda& cuda, const Graph& graph, const Node& node) {
  return prepare_move(cuda, graph, node, false);
}

}  // namespace node_cudnn::cuda
