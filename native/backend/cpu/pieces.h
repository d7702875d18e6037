// The pieces of an activation that reductions over channels are made of; see simd/simd.h.
#pragma once

#include <algorithm>
#include <vector>

#include "backend/cpu/cpu.h"
#include "backend/cpu/simd/simd.h"

namespace node_cudnn::cpu {

constexpr int64_t piece_elements = 4096;  // 16 KB of float32: a second look at a piece finds it in the L1 cache
constexpr int64_t max_block = 16;

inline simd::Pieces pieces_of(const Layout& layout, int64_t gap = 0) {
  const int64_t plane = layout.plane();
  const simd::Planes planes = {layout.n, layout.blocks(), layout.block, plane};
  if (plane > piece_elements) return {planes, 1, piece_elements, (plane + piece_elements - 1) / piece_elements, gap};
  return {planes, std::min(layout.n, piece_elements / plane), plane, 1, gap};
}

inline int64_t count(const simd::Pieces& p) {
  return (p.planes.n + p.images - 1) / p.images * p.planes.blocks * p.parts;
}

// Calls f(index, values): the pieces of one channel block in memory order, with their number of values per channel.
template <class F>
void for_each_piece(const simd::Pieces& p, int64_t block, const F& f) {
  for (int64_t image = 0, group = 0; image < p.planes.n; image += p.images, ++group)
    for (int64_t part = 0; part < p.parts; ++part) {
      const int64_t length = std::min(p.length, p.planes.plane - part * p.length);
      const int64_t images = std::min(p.images, p.planes.n - image);
      f((group * p.planes.blocks + block) * p.parts + part, images * length / p.planes.block);
    }
}

}  // namespace node_cudnn::cpu
