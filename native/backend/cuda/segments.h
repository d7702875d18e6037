// Many values of different sizes, done by one launch: a table that says which chunk belongs to which value, handed to
// the kernel by value. So no table has to lie in device memory, and a captured launch keeps its own copy.
#pragma once

#include <stdexcept>
#include <vector>

#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"

namespace node_cudnn::cuda {

constexpr int64_t chunk_elements = 4096;  // of one value; a block does one chunk

// K pointers for each value, and the number of its first chunk. The larger table is what a launch may carry since
// CUDA 12.1 (32,764 bytes), the smaller what it always could (4 KiB).
template <int K, int capacity>
struct Segments {
  float* values[K][capacity];
  int64_t counts[capacity];
  int first_chunk[capacity];
  int used;

  // The value that a chunk belongs to.
  __device__ int find(int chunk) const {
    int low = 0, high = used - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (first_chunk[middle] <= chunk)
        low = middle;
      else
        high = middle - 1;
    }
    return low;
  }
};

template <int K>
constexpr int bytes_per_segment = (K + 1) * 8 + 4;
#if CUDART_VERSION >= 12010
constexpr int large_table = 32000;
#else
constexpr int large_table = 3900;
#endif
template <int K>
constexpr int small_capacity = 1900 / bytes_per_segment<K>;
template <int K>
constexpr int large_capacity = large_table / bytes_per_segment<K>;

constexpr int chunks_of(int64_t count) { return static_cast<int>((count + chunk_elements - 1) / chunk_elements); }

// Chunks of all values together; kernels count them in 32 bits.
inline int64_t expect_chunks(const std::vector<int64_t>& counts) {
  int64_t chunks = 0;
  for (const int64_t count : counts) chunks += (count + chunk_elements - 1) / chunk_elements;
  expect(chunks < (int64_t{1} << 31), "the values are too large");
  return chunks;
}

// Calls launch_one(table, chunks, chunks before) for as few tables as hold all values.
template <int K, int capacity, class Pointer, class LaunchOne>
void for_tables(const std::vector<int64_t>& counts, const Pointer& pointer, const LaunchOne& launch_one) {
  int before = 0;
  for (size_t first = 0; first < counts.size(); first += capacity) {
    Segments<K, capacity> table{};
    int chunks = 0;
    for (size_t i = first; i < counts.size() && table.used < capacity; ++i, ++table.used) {
      for (int k = 0; k < K; ++k) table.values[k][table.used] = pointer(k, i);
      table.counts[table.used] = counts[i];
      table.first_chunk[table.used] = chunks;
      chunks += chunks_of(counts[i]);
    }
    launch_one(table, static_cast<unsigned>(chunks), before);
    before += chunks;
  }
}

// pointer(k, i) is the k-th address of value i.
template <int K, class Pointer, class LaunchOne>
void for_segments(const std::vector<int64_t>& counts, const Pointer& pointer, const LaunchOne& launch_one) {
  if (counts.size() <= small_capacity<K>)
    for_tables<K, small_capacity<K>>(counts, pointer, launch_one);
  else
    for_tables<K, large_capacity<K>>(counts, pointer, launch_one);
}

// Calls body(i, n) for n = 4 neighbours from element i on, and 1 where they end, for the chunk of this block.
template <class Body>
__device__ void for_chunk(int64_t count, int chunk, const Body& body) {
  const int64_t begin = int64_t{chunk} * chunk_elements;
  const int64_t end = begin + chunk_elements < count ? begin + chunk_elements : count;
  const int64_t whole = begin + (end - begin) / 4 * 4;
  for (int64_t i = begin + threadIdx.x * 4; i < whole; i += blockDim.x * 4) body(i, std::integral_constant<int, 4>{});
  for (int64_t i = whole + threadIdx.x; i < end; i += blockDim.x) body(i, std::integral_constant<int, 1>{});
}

}  // namespace node_cudnn::cuda
