// Images [n][h][w][c], done pixel by pixel, V channels at a time.
#pragma once

#include "backend/cuda/divisor.h"
#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"

namespace node_cudnn::cuda {

// How the threads of a launch find their places: rows of all images go along y, the vectors of a row along x. A block
// of short rows takes several of them.
struct Pixels {
  unsigned rows, across;
  Divisor height, vectors;

  dim3 block() const {
    const unsigned x = across < block_threads ? std::bit_ceil(across) : block_threads;
    return {x, block_threads / x, 1};
  }
  dim3 grid() const {
    constexpr unsigned most = 65535;
    const dim3 b = block();
    return {(across + b.x - 1) / b.x, std::min((rows + b.y - 1) / b.y, most), 1};
  }
};

inline Pixels make_pixels(int64_t images, int64_t height, int64_t width, int64_t channels, int vector) {
  const int64_t rows = images * height, across = width * (channels / vector);
  expect(std::max(rows, across) < int64_t{1} << 30, "images have too many rows, or rows too many channels");
  return {static_cast<unsigned>(rows), static_cast<unsigned>(across), Divisor(height), Divisor(channels / vector)};
}

// Calls work(n, i, j, channel) for V channels of every pixel.
template <int V, class Work>
__device__ void for_pixels(const Pixels& p, const Work& work) {
  for (unsigned row = blockIdx.y * blockDim.y + threadIdx.y; row < p.rows; row += gridDim.y * blockDim.y) {
    const unsigned n = p.height.quotient(row), i = row - n * p.height.value();
    for (unsigned at = blockIdx.x * blockDim.x + threadIdx.x; at < p.across; at += gridDim.x * blockDim.x) {
      const unsigned j = p.vectors.quotient(at), vector = at - j * p.vectors.value();
      work(static_cast<int>(n), static_cast<int>(i), static_cast<int>(j), static_cast<int>(vector) * V);
    }
  }
}

}  // namespace node_cudnn::cuda
