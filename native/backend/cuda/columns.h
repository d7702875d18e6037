// Work over a matrix [rows][channels], which is what an activation [n][h][w][c] is to everything that goes by channel.
// A thread keeps to V neighbouring channels and strides over rows; a warp reads neighbouring channels, then the next
// row. Reductions over the rows go in two stages, in an order that depends on sizes alone: each block leaves a partial
// state in the workspace, and a second kernel merges them.
#pragma once

#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"

namespace node_cudnn::cuda {

struct Columns {
  int64_t rows, channels;  // counted by kernels in 32 bits
  dim3 grid, block;        // x: over channels, y: over rows

  int64_t parts() const { return grid.y; }
};

inline Columns make_columns(const Cuda& cuda, int64_t rows, int64_t channels, int vector) {
  expect(std::max(rows, channels) < int64_t{1} << 31,
         "kernels go through at most 2147483647 pixels and channels, not " + std::to_string(std::max(rows, channels)));
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

__device__ inline unsigned column_channel(int vector) { return (blockIdx.x * blockDim.x + threadIdx.x) * vector; }
__device__ inline unsigned first_row() { return blockIdx.y * blockDim.y + threadIdx.y; }
__device__ inline unsigned row_stride() { return gridDim.y * blockDim.y; }

// The first of V neighbours, in a matrix whose rows lie without gaps and in one whose rows are `gap` elements apart.
struct Place {
  int64_t offset;
  unsigned row;

  __device__ operator int64_t() const { return offset; }
  __device__ int64_t within(int64_t gap) const { return offset + row * gap; }
};

// On a multiprocessor, at the least: 64 registers for each thread.
constexpr int resident_blocks = 4;

// column = f.column<V>(channel) keeps what belongs to the channels; column(place) does one vector of one row. Rows are
// taken from the last on: whoever wrote or read them before began at the first, so the last are still in the cache.
template <int V, class F>
__global__ void __launch_bounds__(block_threads, resident_blocks)
    map_columns_kernel(F f, unsigned rows, unsigned channels) {
  const unsigned channel = column_channel(V);
  if (channel >= channels) return;
  auto column = f.template column<V>(channel);
  for (unsigned i = first_row(); i < rows; i += row_stride()) {
    const unsigned row = rows - 1 - i;
    column(Place{int64_t{row} * channels + channel, row});
  }
}

template <int V, class F>
void map_columns(const Cuda& cuda, const Columns& c, F f) {
  launch(map_columns_kernel<V, F>, c.grid, c.block, 0, cuda.stream, f, c.rows, c.channels);
}

// Of a block whose threads form `groups` lines, a power of two: the first line gets what all threads of its column
// hold.
template <class State>
__device__ void merge_lines(State* shared, State& state, unsigned thread, unsigned line, unsigned groups) {
  shared[thread] = state;
  for (unsigned half = groups / 2; half > 0; half /= 2) {
    __syncthreads();
    if (thread >= half * line) continue;
    state.merge(shared[thread + half * line]);
    shared[thread] = state;
  }
}

// State has merge(const State&) and starts empty; column(place, states) takes one vector of one row into V states.
template <int V, class State, class F>
__global__ void __launch_bounds__(block_threads, resident_blocks)
    reduce_columns_kernel(F f, unsigned rows, unsigned channels, State* partial) {
  NODE_CUDNN_SHARED(State, shared, block_threads * V);
  State states[V] = {};
  const unsigned channel = column_channel(V);
  if (channel < channels) {
    auto column = f.template column<V>(channel);
    NODE_CUDNN_UNROLL(2)
    for (unsigned row = first_row(); row < rows; row += row_stride())
      column(Place{int64_t{row} * channels + channel, row}, states);
  }
  // Threads that had V channels each take one, and merge V of the states that others found for it.
  const unsigned across = blockDim.x, line = across * V, groups = block_threads / line;
  for (int k = 0; k < V; ++k) shared[threadIdx.y * line + k * across + threadIdx.x] = states[k];
  __syncthreads();
  const unsigned thread = threadIdx.y * across + threadIdx.x, place = thread % line;
  State state = shared[thread];
  for (unsigned i = 1; i < V; ++i) state.merge(shared[thread + i * block_threads]);
  merge_lines(shared, state, thread, line, groups);
  const unsigned own = (blockIdx.x * across + place % across) * V + place / across;
  if (thread < line && own < channels) partial[int64_t{blockIdx.y} * channels + own] = state;
}

// A block merges the parts of a few channels, so that there are many blocks, and few parts for each thread.
constexpr int finish_across = 4, finish_down = block_threads / finish_across;

template <class State, class F>
__global__ void __launch_bounds__(block_threads)
    finish_columns_kernel(F finish, int64_t channels, int64_t parts, const State* partial) {
  NODE_CUDNN_SHARED(State, shared, block_threads);
  const int64_t channel = int64_t{blockIdx.x} * finish_across + threadIdx.x;
  State state = {};
  if (channel < channels) {
    NODE_CUDNN_UNROLL(4)
    for (int64_t part = threadIdx.y; part < parts; part += finish_down) state.merge(partial[part * channels + channel]);
  }
  merge_lines(shared, state, threadIdx.y * finish_across + threadIdx.x, finish_across, finish_down);
  if (threadIdx.y == 0 && channel < channels) finish(channel, state);
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
