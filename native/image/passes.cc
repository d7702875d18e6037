#include "image/passes.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <cstring>

namespace node_cudnn::image {
namespace {

using Bytes = uint8_t __attribute__((vector_size(16)));
using Shorts = int16_t __attribute__((vector_size(16)));
using Sums = uint32_t __attribute__((vector_size(16)));  // of two's complement: parts may wrap, the whole does not

using Halves = uint64_t __attribute__((vector_size(16)));
using Levels = int32_t __attribute__((vector_size(16)));

constexpr uint32_t half = 1u << (weight_bits - 1);

// Sums of neighbouring products.
Sums products(Shorts a, Shorts b) {
#ifdef __SSE2__
  return reinterpret_cast<Sums>(_mm_madd_epi16(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#else
  Sums sums;
  for (int i = 0; i < 4; ++i) sums[i] = static_cast<uint32_t>(a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1]);
  return sums;
#endif
}

// Whole levels, those outside 0 to 255 cut off.
Bytes cut(const Levels (&levels)[4]) {
#ifdef __SSE2__
  const auto* of = reinterpret_cast<const __m128i*>(levels);
  return reinterpret_cast<Bytes>(_mm_packus_epi16(_mm_packs_epi32(of[0], of[1]), _mm_packs_epi32(of[2], of[3])));
#else
  Bytes bytes;
  for (int i = 0; i < 16; ++i) bytes[i] = static_cast<uint8_t>(std::clamp(levels[i / 4][i % 4], 0, 255));
  return bytes;
#endif
}

Bytes interleave_first(Bytes a, Bytes b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

Bytes interleave_last(Bytes a, Bytes b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

// The low byte comes first on every processor that this is built for.
Shorts widen_first(Bytes bytes) { return reinterpret_cast<Shorts>(interleave_first(bytes, Bytes{})); }
Shorts widen_last(Bytes bytes) { return reinterpret_cast<Shorts>(interleave_last(bytes, Bytes{})); }

// A pair of weights, four times over.
Shorts repeat(const int16_t (&pair)[2]) {
  uint32_t both;
  std::memcpy(&both, pair, sizeof both);
  return reinterpret_cast<Shorts>(Sums{both, both, both, both});
}

// Four weighted sums: of the weights' high and low bits.
struct Weighted {
  Sums high = {}, low = {};

  void add(Shorts values, Shorts high_weights, Shorts low_weights) {
    high += products(values, high_weights);
    low += products(values, low_weights);
  }

  Levels levels() const { return reinterpret_cast<Levels>((high << low_bits) + low + half) >> weight_bits; }
};

Bytes load(const uint8_t* from) {
  Bytes bytes;
  std::memcpy(&bytes, from, sizeof bytes);
  return bytes;
}

// Two pixels: red of the first and of the second, then green of both, and so on.
Shorts load_pair(const uint8_t* pixels) {
  uint64_t both;
  std::memcpy(&both, pixels, sizeof both);
  const Halves first = {both, 0}, second = first >> 32;
  return widen_first(interleave_first(reinterpret_cast<Bytes>(first), reinterpret_cast<Bytes>(second)));
}

}  // namespace

void resize_row(const uint8_t* row, const Resampling& columns, int count, uint8_t* target) {
  for (int x = 0; x < count; ++x) {
    const uint8_t* from = row + static_cast<size_t>(columns.begin(x) - columns.begin()) * 4;
    const Weights* weights = columns.weights(x);
    Weighted sums;
    for (int p = 0; p < columns.pairs(x); ++p)
      sums.add(load_pair(from + 8 * p), repeat(weights[p].high), repeat(weights[p].low));
    const Levels levels = sums.levels();
    const Bytes pixel = cut({levels, levels, levels, levels});
    std::memcpy(target + 4 * static_cast<size_t>(x), &pixel, 4);
  }
}

void blend_rows(const uint8_t* const* sources, const Weights* weights, int pairs, size_t bytes, uint8_t* target) {
  for (size_t at = 0; at < bytes; at += sizeof(Bytes)) {
    Weighted sums[4];
    for (int p = 0; p < pairs; ++p) {
      const Bytes a = load(sources[2 * p] + at), b = load(sources[2 * p + 1] + at);
      const Bytes first = interleave_first(a, b), last = interleave_last(a, b);
      const Shorts high = repeat(weights[p].high), low = repeat(weights[p].low);
      sums[0].add(widen_first(first), high, low);
      sums[1].add(widen_last(first), high, low);
      sums[2].add(widen_first(last), high, low);
      sums[3].add(widen_last(last), high, low);
    }
    const Bytes levels = cut({sums[0].levels(), sums[1].levels(), sums[2].levels(), sums[3].levels()});
    std::memcpy(target + at, &levels, sizeof levels);
  }
}

}  // namespace node_cudnn::image
