// Work over a matrix [rows][channels], which is what an activation [n][h][w][c] is to everything that goes by channel.
// A thread keeps to V neighbouring channels and strides over rows; a warp reads neighbouring channels, then the next
// row. Reductions over the rows go in two stages, in an order that depends on sizes alone: each block leaves a partial
// state in the workspace, and a second kernel merges them.
#pragma once

#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"

namespace node_cudnn::cuda {

struct Columns {
  int64_t rows, channels;
  dim3 grid, block;  // x: over channels, y: over rows

  int64_t parts() const { return grid.y; }
};

inline Columns make_columns(const Cuda& cuda, int64_t rows, int64_t channels, int vector) {
  const int64_t vectors = channels / vector;
  unsigned across = 1;
  while (across < warp_size && across < vectors) across *= 2;
  const unsigned down = block_threads / across;
  const auto groups = static_cast<unsigned>((vectors + across - 1) / across);
  // At least four rows for each thread, and no more blocks than the device holds at once.
  const int64_t wanted = (rows + 4 * down - 1) / (4 * down), resident = int64_t{cuda.multiprocessors} * 8 / groups;
  const auto parts = static_cast<unsigned>(std::clamp<int64_t>(wanted, 1, std::clamp<int64_t>(resident, 1, 1024)));
  return {rows, channels, {groups, parts, 1}, {across, down, 1}};
}

__device__ inline int64_t column_channel(int vector) {
  return (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * vector;
}
__device__ inline int64_t first_row() { return int64_t{blockIdx.y} * blockDim.y + threadIdx.y; }
__device__ inline int64_t row_stride() { return int64_t{gridDim.y} * blockDim.y; }

// The first of V neighbours, in a matrix whose rows lie without gaps and in one whose rows are `gap` elements apart.
struct Place {
  int64_t offset, row;

  __device__ operator int64_t() const { return offset; }
  __device__ int64_t within(int64_t gap) const { return offset + row * gap; }
};

// column = f.column<V>(channel) keeps what belongs to the channels; column(place) does one vector of one row.
template <int V, class F>
__global__ void __launch_bounds__(block_threads) map_columns_kernel(F f, int64_t rows, int64_t channels) {
  const int64_t channel = column_channel(V);
  if (channel >= channels) return;
  auto column = f.template column<V>(channel);
  for (int64_t row = first_row(); row < rows; row += row_stride()) column(Place{row * channels + channel, row});
}

template <int V, class F>
void map_columns(const Cuda& cuda, const Columns& c, F f) {
  launch(map_columns_kernel<V, F>, c.grid, c.block, 0, cuda.stream, f, c.rows, c.channels);
}

// State has merge(const State&) and starts empty; column(place, states) takes one vector of one row into V states.
template <int V, class State, class F>
__global__ void __launch_bounds__(block_threads)
    reduce_columns_kernel(F f, int64_t rows, int64_t channels, State* partial) {
  NODE_CUDNN_SHARED(State, shared, block_threads * V);
  State states[V] = {};
  const int64_t channel = column_channel(V);
  if (channel < channels) {
    auto column = f.template column<V>(channel);
    for (int64_t row = first_row(); row < rows; row += row_stride())
      column(Place{row * channels + channel, row}, states);
  }
  const unsigned across = blockDim.x;
  const auto slot = [&](unsigned y, int k) -> State& { return shared[(y * V + k) * across + threadIdx.x]; };
  for (int k = 0; k < V; ++k) slot(threadIdx.y, k) = states[k];
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y >= half) continue;
    for (int k = 0; k < V; ++k) slot(threadIdx.y, k).merge(slot(threadIdx.y + half, k));
  }
  if (threadIdx.y != 0 || channel >= channels) return;
  for (int k = 0; k < V; ++k) partial[blockIdx.y * channels + channel + k] = slot(0, k);
}

constexpr int finish_across = warp_size, finish_down = block_threads / warp_size;

template <class State, class F>
__global__ void __launch_bounds__(block_threads)
    finish_columns_kernel(F finish, int64_t channels, int64_t parts, const State* partial) {
  NODE_CUDNN_SHARED(State, shared, block_threads);
  const int64_t channel = int64_t{blockIdx.x} * finish_across + threadIdx.x;
  State state = {};
  if (channel < channels)
    for (int64_t part = threadIdx.y; part < parts; part += finish_down) state.merge(partial[part * channels + channel]);
  shared[threadIdx.y * finish_across + threadIdx.x] = state;
  __syncthreads();
  if (threadIdx.y != 0 || channel >= channels) return;
  for (int y = 1; y < finish_down; ++y) state.merge(shared[y * finish_across + threadIdx.x]);
  finish(channel, state);
}

template <class State>
size_t partial_bytes(const Columns& c) {
  return static_cast<size_t>(c.parts() * c.channels) * sizeof(State);
}

// finish(channel, state) gets the state of all rows.
template <int V, class State, class F, class Finish>
void reduce_columns(const Cuda& cuda, const Columns& c, F f, Finish finish, void* workspace) {
  auto* partial = static_cast<State*>(workspace);
  launch(reduce_columns_kernel<V, State, F>, c.grid, c.block, 0, cuda.stream, f, c.rows, c.channels, partial);
  const auto blocks = static_cast<unsigned>((c.channels + finish_across - 1) / finish_across);
  launch(finish_columns_kernel<State, Finish>, blocks, dim3(finish_across, finish_down), 0, cuda.stream, finish,
         c.channels, c.parts(), partial);
}

}  // namespace node_cudnn::cuda
