#include "backend/cpu/simd/pool.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "backend/cpu/simd/vector.h"

namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD {
namespace {

typedef int32_t Integers __attribute__((vector_size(width * 4)));
// GCC 12 converts vectors of so few bytes one by one; the processors do better.
inline Integers load_index(const uint8_t* p) {
#if defined(__AVX512F__)
  return (Integers)_mm512_maskz_cvtepu8_epi32(0xFFFF, _mm_loadu_si128((const __m128i*)p));
#elif defined(__AVX2__)
  return (Integers)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)p));
#else
  Integers index = {};
  for (int i = 0; i < width; ++i) index[i] = p[i];
  return index;
#endif
}

inline void store_index(uint8_t* p, Integers index) {
#if defined(__AVX512F__)
  _mm_storeu_si128((__m128i*)p, _mm512_maskz_cvtepi32_epi8(0xFFFF, (__m512i)index));
#elif defined(__AVX2__)
  const __m256i v = (__m256i)index;
  const __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  _mm_storel_epi64((__m128i*)p, _mm_packus_epi16(halves, halves));
#else
  for (int i = 0; i < width; ++i) p[i] = static_cast<uint8_t>(index[i]);
#endif
}

// Where two pixels meet: the source's place in memory, its row and column, and the tap of the window.
struct Place {
  int64_t source, row, column, tap;
};

// Calls f(target's place in memory, row, column, visit) for each pixel; visit(g) calls g(Place) for each that it meets.
template <class F>
inline NODE_CUDNN_INLINE void for_each_pixel(const Pooling& p, int64_t begin, int64_t end, F f) {
  for (int64_t r = begin; r < end; ++r) {
    const int64_t plane = r / p.target_h, row = r % p.target_h;
    const Meeting *first_row = p.rows.list + p.rows.first[row], *last_row = p.rows.list + p.rows.first[row + 1];
    for (int64_t column = 0; column < p.target_w; ++column) {
      const Meeting *first = p.columns.list + p.columns.first[column],
                    *last = p.columns.list + p.columns.first[column + 1];
      f((r * p.target_w + column) * width, row, column, [&](auto g) NODE_CUDNN_INLINE {
        for (const Meeting* i = first_row; i != last_row; ++i) {
          const int64_t line = (plane * p.source_h + i->position) * p.source_w, tap = i->tap * p.kernel_w;
          for (const Meeting* j = first; j != last; ++j)
            g(Place{(line + j->position) * width, i->position, j->position, tap + j->tap});
        }
      });
    }
  }
}

template <class T>
void max(const Pooling& p, const void* x, void* y, uint8_t* index, int64_t begin, int64_t end) {
  auto* from = static_cast<const T*>(x);
  auto* to = static_cast<T*>(y);
  for_each_pixel(p, begin, end, [=](int64_t target, int64_t, int64_t, auto visit) NODE_CUDNN_INLINE {
    Vector best = broadcast(-__builtin_inff());
    Integers taps = {};
    bool empty = true;
    visit([&](const Place& at) NODE_CUDNN_INLINE {
      const Vector value = load(from + at.source);
      const Integers tap = static_cast<int32_t>(at.tap) - Integers{};
      const Integers larger = (value > best) | ((value != value) & (best == best));
      const Integers take = empty ? Integers{} - 1 : larger;
      best = take ? value : best;
      taps = take ? tap : taps;
      empty = false;
    });
    store(to + target, best);
    store_index(index + target, taps);
  });
}

template <class T>
void max_grad(const Pooling& p, const void* dy, const uint8_t* index, void* dx, int64_t begin, int64_t end) {
  auto* gradient = static_cast<const T*>(dy);
  auto* to = static_cast<T*>(dx);
  for_each_pixel(p, begin, end, [=](int64_t target, int64_t, int64_t, auto visit) NODE_CUDNN_INLINE {
    Vector sum = {};
    visit([&](const Place& at) NODE_CUDNN_INLINE {
      sum += load_index(index + at.source) == static_cast<int32_t>(at.tap) ? load(gradient + at.source) : Vector{};
    });
    store(to + target, sum);
  });
}

template <class T>
void average(const Pooling& p, const Shares& shares, const void* x, void* y, int64_t begin, int64_t end) {
  auto* from = static_cast<const T*>(x);
  auto* to = static_cast<T*>(y);
  for_each_pixel(p, begin, end, [=](int64_t target, int64_t row, int64_t column, auto visit) NODE_CUDNN_INLINE {
    Vector sum = {};
    visit([&](const Place& at) NODE_CUDNN_INLINE { sum += load(from + at.source); });
    store(to + target, sum * (shares.rows[row] * shares.columns[column]));
  });
}

template <class T>
void average_grad(const Pooling& p, const Shares& shares, const void* dy, void* dx, int64_t begin, int64_t end) {
  auto* gradient = static_cast<const T*>(dy);
  auto* to = static_cast<T*>(dx);
  for_each_pixel(p, begin, end, [=](int64_t target, int64_t, int64_t, auto visit) NODE_CUDNN_INLINE {
    Vector sum = {};
    visit([&](const Place& at) NODE_CUDNN_INLINE {
      sum += load(gradient + at.source) * (shares.rows[at.row] * shares.columns[at.column]);
    });
    store(to + target, sum);
  });
}

}  // namespace

const PoolKernels pool_float32 = {max<float>, max_grad<float>, average<float>, average_grad<float>};
const PoolKernels pool_bfloat16 = {max<BFloat16>, max_grad<BFloat16>, average<BFloat16>, average_grad<BFloat16>};

}  // namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD
