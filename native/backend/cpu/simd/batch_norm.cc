#include "backend/cpu/simd/simd.h"
#include "backend/cpu/simd/vector.h"

namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD {
namespace {

// The channels of block b of a per-channel array, one per lane; where a block is one channel, that one in all lanes.
inline Vector channels(const Planes& planes, const float* values, int64_t b) {
  return planes.block == 1 ? broadcast(values[b]) : load(values + b * width);
}

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// One piece: `images` runs of `count` elements, `stride` apart; those of dy begin `ahead` later and lie `gap` further
// apart.
struct Piece {
  int64_t block, offset, count, images, stride, ahead, gap;
};

inline Piece piece_at(const Pieces& p, int64_t index) {
  const int64_t part = index % p.parts, block = index / p.parts % p.planes.blocks;
  const int64_t image = index / p.parts / p.planes.blocks * p.images, start = part * p.length;
  return {block,
          (image * p.planes.blocks + block) * p.planes.plane + start,
          smaller(p.length, p.planes.plane - start),
          smaller(p.images, p.planes.n - image),
          p.planes.blocks * p.planes.plane,
          image * p.gap,
          p.gap};
}

template <class F>
inline void for_each_vector(const Piece& piece, F f) {
  for (int64_t image = 0; image < piece.images; ++image) {
    const int64_t begin = piece.offset + image * piece.stride;
    for_each_vector(begin, begin + piece.count, f);
  }
}

inline double sum_of_lanes(Vector v) {
  double total = 0;
  for (int i = 0; i < width; ++i) total += v[i];
  return total;
}

// Writes one sum per channel of the block.
inline void store_sums(const Planes& planes, Vector sums, double* to) {
  if (planes.block == 1)
    *to = sum_of_lanes(sums);
  else
    for (int i = 0; i < width; ++i) to[i] = sums[i];
}

template <class T>
void moments(const Pieces& pieces, const void* x, double* partial, int64_t begin, int64_t end) {
  auto* from = static_cast<const T*>(x);
  const int64_t block = pieces.planes.block;
  for (int64_t index = begin; index < end; ++index) {
    const Piece piece = piece_at(pieces, index);
    const double count = static_cast<double>(piece.images * piece.count / block);
    Accumulator sum;
    for_each_vector(piece, [&](int64_t i, int n, int slot) NODE_CUDNN_INLINE { sum.part[slot] += load(from + i, n); });
    const Vector total = sum.total();
    const Vector center =
        block == 1 ? broadcast(static_cast<float>(sum_of_lanes(total) / count)) : total / static_cast<float>(count);
    Accumulator deviation, squares;
    for_each_vector(piece, [&](int64_t i, int n, int slot) NODE_CUDNN_INLINE {
      const Vector d = keep(load(from + i, n) - center, n);
      deviation.part[slot] += d;
      squares.part[slot] += d * d;
    });
    double* mean = partial + index * 2 * block;
    double* square = mean + block;
    store_sums(pieces.planes, deviation.total(), mean);
    store_sums(pieces.planes, squares.total(), square);
    for (int64_t i = 0; i < block; ++i) {  // `center` is a rounded mean: correct both for what it is off
      square[i] -= mean[i] * mean[i] / count;
      mean[i] = mean[i] / count + static_cast<double>(center[i]);
    }
  }
}

template <class T>
void sums(const Pieces& pieces, const void* x, double* partial, int64_t begin, int64_t end) {
  auto* from = static_cast<const T*>(x);
  for (int64_t index = begin; index < end; ++index) {
    Accumulator sum;
    for_each_vector(piece_at(pieces, index),
                    [&](int64_t i, int n, int slot) NODE_CUDNN_INLINE { sum.part[slot] += load(from + i, n); });
    store_sums(pieces.planes, sum.total(), partial + index * pieces.planes.block);
  }
}

// Sums of g and of g (x - mean) over a piece; g(i, j, n, x) loads the masked gradient of x at i, dy being at j.
template <class T, class G>
inline void sum_gradient(const Pieces& pieces, int64_t index, const Piece& piece, const float* mean, const T* x,
                         double* partial, G g) {
  const Vector center = channels(pieces.planes, mean, piece.block);
  Accumulator sum, product;
  for (int64_t image = 0; image < piece.images; ++image) {
    const int64_t begin = piece.offset + image * piece.stride, ahead = piece.ahead + image * piece.gap;
    for_each_vector(begin, begin + piece.count, [&](int64_t i, int n, int slot) NODE_CUDNN_INLINE {
      const Vector value = load(x + i, n), gradient = g(i, i + ahead, n, value);
      sum.part[slot] += gradient;
      product.part[slot] += gradient * (value - center);
    });
  }
  double* to = partial + index * 2 * pieces.planes.block;
  store_sums(pieces.planes, sum.total(), to);
  store_sums(pieces.planes, product.total(), to + pieces.planes.block);
}

template <class T>
void gradient_sums(const Pieces& pieces, const float* mean, const void* dy, const void* x, double* partial,
                   int64_t begin, int64_t end) {
  auto* from = static_cast<const T*>(dy);
  for (int64_t index = begin; index < end; ++index)
    sum_gradient(pieces, index, piece_at(pieces, index), mean, static_cast<const T*>(x), partial,
                 [&](int64_t, int64_t j, int n, Vector) NODE_CUDNN_INLINE { return load(from + j, n); });
}

template <class T>
void gradient_sums_relu(const Pieces& pieces, const float* mean, const float* scale, const float* shift, const void* dy,
                        const void* x, double* partial, int64_t begin, int64_t end) {
  auto* from = static_cast<const T*>(dy);
  for (int64_t index = begin; index < end; ++index) {
    const Piece piece = piece_at(pieces, index);
    const Vector a = channels(pieces.planes, scale, piece.block), b = channels(pieces.planes, shift, piece.block);
    sum_gradient(pieces, index, piece, mean, static_cast<const T*>(x), partial,
                 [&](int64_t, int64_t j, int n, Vector value)
                     NODE_CUDNN_INLINE { return a * value + b > 0.0f ? load(from + j, n) : Vector{}; });
  }
}

template <class T>
void gradient_sums_add_relu(const Pieces& pieces, const float* mean, const void* dy, const void* x, const void* y,
                            void* dresidual, double* partial, int64_t begin, int64_t end) {
  auto* from = static_cast<const T*>(dy);
  auto* active = static_cast<const T*>(y);
  auto* masked = static_cast<T*>(dresidual);
  for (int64_t index = begin; index < end; ++index)
    sum_gradient(pieces, index, piece_at(pieces, index), mean, static_cast<const T*>(x), partial,
                 [&](int64_t i, int64_t j, int n, Vector) NODE_CUDNN_INLINE {
                   const Vector gradient = load(active + i, n) > 0.0f ? load(from + j, n) : Vector{};
                   store(masked + i, gradient, n);
                   return gradient;
                 });
}

// Runs of planes from the last to the first, each run in memory order for the prefetcher; f(block) makes the loop body
// for the planes of one channel block.
template <class F>
inline void for_each_plane(const Planes& planes, int64_t begin, int64_t end, F f) {
  constexpr int64_t run_elements = 16384;
  const int64_t run = run_elements / planes.plane + 1;
  for (int64_t last = end; last > begin; last -= run) {
    const int64_t first = last - begin > run ? last - run : begin;
    int64_t block = first % planes.blocks;
    for (int64_t index = first; index < last; ++index) {
      for_each_vector(index * planes.plane, (index + 1) * planes.plane, f(block));
      if (++block == planes.blocks) block = 0;
    }
  }
}

template <class T>
void affine(const Planes& planes, const float* scale, const float* shift, const void* x, void* y, int64_t begin,
            int64_t end) {
  auto* from = static_cast<const T*>(x);
  auto* to = static_cast<T*>(y);
  for_each_plane(planes, begin, end, [&](int64_t block) NODE_CUDNN_INLINE {
    return [=, a = channels(planes, scale, block), b = channels(planes, shift, block)](int64_t i, int n, int)
               NODE_CUDNN_INLINE { store(to + i, a * load(from + i, n) + b, n); };
  });
}

template <class T>
void affine_relu(const Planes& planes, const float* scale, const float* shift, const void* x, void* y, int64_t begin,
                 int64_t end) {
  auto* from = static_cast<const T*>(x);
  auto* to = static_cast<T*>(y);
  for_each_plane(planes, begin, end, [&](int64_t block) NODE_CUDNN_INLINE {
    return [=, a = channels(planes, scale, block), b = channels(planes, shift, block)](int64_t i, int n, int)
               NODE_CUDNN_INLINE { store(to + i, relu(a * load(from + i, n) + b), n); };
  });
}

template <class T>
void affine_add_relu(const Planes& planes, const float* scale, const float* shift, const void* x, const void* residual,
                     void* y, int64_t begin, int64_t end) {
  auto* from = static_cast<const T*>(x);
  auto* addend = static_cast<const T*>(residual);
  auto* to = static_cast<T*>(y);
  for_each_plane(planes, begin, end, [&](int64_t block) NODE_CUDNN_INLINE {
    return [=, a = channels(planes, scale, block), b = channels(planes, shift, block)](int64_t i, int n, int)
               NODE_CUDNN_INLINE { store(to + i, relu(a * load(from + i, n) + b + load(addend + i, n)), n); };
  });
}

template <class T>
void gradient(const Planes& planes, const float* mean, const float* a, const float* b, const float* c, const void* dy,
              const void* x, void* dx, int64_t begin, int64_t end) {
  auto* gradient = static_cast<const T*>(dy);
  auto* from = static_cast<const T*>(x);
  auto* to = static_cast<T*>(dx);
  for_each_plane(planes, begin, end, [&](int64_t block) NODE_CUDNN_INLINE {
    return [=, center = channels(planes, mean, block), ga = channels(planes, a, block), xb = channels(planes, b, block),
            xc = channels(planes, c, block)](int64_t i, int n, int) NODE_CUDNN_INLINE {
      store(to + i, ga * load(gradient + i, n) + (xb * (load(from + i, n) - center) + xc), n);
    };
  });
}

template <class T>
void gradient_relu(const Planes& planes, const float* mean, const float* a, const float* b, const float* c,
                   const float* scale, const float* shift, const void* dy, const void* x, void* dx, int64_t begin,
                   int64_t end) {
  auto* gradient = static_cast<const T*>(dy);
  auto* from = static_cast<const T*>(x);
  auto* to = static_cast<T*>(dx);
  for_each_plane(planes, begin, end, [&](int64_t block) NODE_CUDNN_INLINE {
    return [=, center = channels(planes, mean, block), ga = channels(planes, a, block), xb = channels(planes, b, block),
            xc = channels(planes, c, block), s = channels(planes, scale, block),
            t = channels(planes, shift, block)](int64_t i, int n, int) NODE_CUDNN_INLINE {
      const Vector value = load(from + i, n);
      const Vector g = s * value + t > 0.0f ? load(gradient + i, n) : Vector{};
      store(to + i, ga * g + (xb * (value - center) + xc), n);
    };
  });
}

template <class T>
constexpr BatchNormKernels table = {moments<T>,  gradient_sums<T>, gradient_sums_relu<T>, gradient_sums_add_relu<T>,
                                    sums<T>,     affine<T>,        affine_relu<T>,        affine_add_relu<T>,
                                    gradient<T>, gradient_relu<T>};

}  // namespace

const BatchNormKernels batch_norm_float32 = table<float>;
const BatchNormKernels batch_norm_bfloat16 = table<BFloat16>;

}  // namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD
