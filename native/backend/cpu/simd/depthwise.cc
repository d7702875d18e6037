#include "backend/cpu/simd/depthwise.h"

#include "backend/cpu/simd/vector.h"

namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD {
namespace {

inline int64_t taps(const Depthwise& d) { return d.kernel_h * d.kernel_w; }
inline int64_t blocks(const Depthwise& d) { return d.outputs / width; }
inline int64_t extent_h(const Depthwise& d) { return (d.kernel_h - 1) * d.dilation_h + 1; }
inline int64_t line_pixels(const Depthwise& d) {
  return (d.out_w - 1) * d.stride_w + (d.kernel_w - 1) * d.dilation_w + 1;
}
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

template <class T>
inline float value(const T* p) {
  return load(p, 1)[0];
}

// Rows of x, spread for one block of outputs; a ring of as many lines as a window has rows.
template <class T>
class Lines {
 public:
  Lines(const Depthwise& d, const T* x, float* ring) : d_(d), x_(x), ring_(ring) {}

  void start(int64_t image, int64_t block) {
    image_ = image;
    first_ = block * width;
    filled_ = 0;
  }

  // The lines of the rows that output row i reads; null where a row is padding. Rows are asked for in ascending order.
  void rows_of(int64_t i, const float** rows) {
    const int64_t top = i * d_.stride_h - d_.top;
    filled_ = larger(filled_, top);
    for (int64_t k = 0; k < d_.kernel_h; ++k) {
      const int64_t row = top + k * d_.dilation_h;
      rows[k] = row >= 0 && row < d_.in_h ? line(row) : nullptr;
    }
  }

 private:
  float* place(int64_t row) const { return ring_ + row % extent_h(d_) * line_pixels(d_) * width; }

  const float* line(int64_t row) {
    for (; filled_ <= row; ++filled_) spread(filled_, place(filled_));
    return place(row);
  }

  void spread(int64_t row, float* to) const {
    const int64_t pixels = line_pixels(d_), begin = smaller(d_.left, pixels);
    const int64_t end = smaller(d_.left + d_.in_w, pixels);
    for (int64_t p = 0; p < begin; ++p) store(to + p * width, Vector{});
    for (int64_t p = end; p < pixels; ++p) store(to + p * width, Vector{});
    const int64_t count = end - begin;
    if (d_.input_block == width)
      spread_blocks(row, count, to + begin * width);
    else
      spread_channels(row, count, to + begin * width);
  }

  // The channels of a vector stand in one block of x: b channels make b * multiplier outputs, which are whole blocks.
  void spread_blocks(int64_t row, int64_t count, float* to) const {
    const int64_t plane = d_.in_h * d_.in_w * width, block = first_ / d_.multiplier / width;
    const T* from = x_ + (image_ * (d_.inputs / width) + block) * plane + row * d_.in_w * width;
    Words lanes;
    for (int l = 0; l < width; ++l) lanes[l] = static_cast<uint32_t>((first_ + l) / d_.multiplier - block * width);
    for (int64_t p = 0; p < count * width; p += width) store(to + p, __builtin_shuffle(load(from + p), lanes));
  }

  void spread_channels(int64_t row, int64_t count, float* to) const {
    const int64_t plane = d_.in_h * d_.in_w, channel = first_ / d_.multiplier;
    const T* from = x_ + (image_ * d_.inputs + channel) * plane + row * d_.in_w;
    if ((first_ + width - 1) / d_.multiplier == channel) {
      for (int64_t p = 0; p < count; ++p) store(to + p * width, broadcast(value(from + p)));
      return;
    }
    for (int64_t l = 0; l < width; ++l) {
      const T* own = from + ((first_ + l) / d_.multiplier - channel) * plane;
      for (int64_t p = 0; p < count; ++p) to[p * width + l] = value(own + p);
    }
  }

  const Depthwise& d_;
  const T* x_;
  float* ring_;
  int64_t image_ = 0, first_ = 0, filled_ = 0;
};

// `count` neighbouring outputs of one row.
template <int count, class T>
inline void outputs(const Depthwise& d, const float* const* rows, const float* w, Vector bias, int64_t j, T* y) {
  Vector sum[count];
  for (int u = 0; u < count; ++u) sum[u] = bias;
  for (int64_t ki = 0; ki < d.kernel_h; ++ki) {
    if (!rows[ki]) continue;
    const float *line = rows[ki] + j * d.stride_w * width, *weights = w + ki * d.kernel_w * width;
    for (int64_t kj = 0; kj < d.kernel_w; ++kj) {
      const Vector weight = load(weights + kj * width);
      const float* at = line + kj * d.dilation_w * width;
      for (int u = 0; u < count; ++u) sum[u] += weight * load(at + u * d.stride_w * width);
    }
  }
  for (int u = 0; u < count; ++u) store(y + (j + u) * width, sum[u]);
}

template <class T>
void forward(const Depthwise& d, const void* x, const float* packed, const float* bias, void* y, float* scratch,
             int64_t begin, int64_t end) {
  constexpr int unrolled = 6;
  const float* rows[most_kernel_rows];
  Lines<T> lines(d, static_cast<const T*>(x), scratch);
  for (int64_t r = begin; r < end; ++r) {
    const int64_t i = r % d.out_h, map = r / d.out_h, block = map % blocks(d);
    if (r == begin || i == 0) lines.start(map / blocks(d), block);
    lines.rows_of(i, rows);
    const float* w = packed + block * taps(d) * width;
    const Vector start = bias ? load(bias + block * width) : Vector{};
    T* to = static_cast<T*>(y) + r * d.out_w * width;
    int64_t j = 0;
    for (; j + unrolled <= d.out_w; j += unrolled) outputs<unrolled>(d, rows, w, start, j, to);
    for (; j < d.out_w; ++j) outputs<1>(d, rows, w, start, j, to);
  }
}

// sums[q] += what the row of dy gives to column q of the input, through one tap.
template <class T>
inline void give(const Depthwise& d, const T* dy, Vector weight, int64_t kj, float* sums) {
  const int64_t shift = kj * d.dilation_w - d.left;  // column of the first output
  const int64_t first = shift >= 0 ? 0 : (-shift + d.stride_w - 1) / d.stride_w;
  const int64_t room = d.in_w - 1 - shift, last = room < 0 ? -1 : smaller(room / d.stride_w, d.out_w - 1);
  for (int64_t j = first; j <= last; ++j) {
    float* to = sums + (j * d.stride_w + shift) * width;
    store(to, load(to) + weight * load(dy + j * width));
  }
}

template <class T>
inline void give_rows(const Depthwise& d, const T* dy, const float* w, int64_t row, float* sums) {
  for (int64_t ki = 0; ki < d.kernel_h; ++ki) {
    const int64_t offset = row + d.top - ki * d.dilation_h;
    if (offset < 0 || offset % d.stride_h != 0 || offset / d.stride_h >= d.out_h) continue;
    for (int64_t kj = 0; kj < d.kernel_w; ++kj)
      give(d, dy + offset / d.stride_h * d.out_w * width, load(w + (ki * d.kernel_w + kj) * width), kj, sums);
  }
}

// Scratch: one line of a block of outputs, then [inputs][in_w].
template <class T>
void data_gradient(const Depthwise& d, const void* dy, const float* packed, void* dx, float* scratch, int64_t begin,
                   int64_t end) {
  float *sums = scratch, *channels = scratch + d.in_w * width;
  for (int64_t r = begin; r < end; ++r) {
    const int64_t image = r / d.in_h, row = r % d.in_h;
    for (int64_t i = 0; i < d.inputs * d.in_w; ++i) channels[i] = 0;
    for (int64_t block = 0; block < blocks(d); ++block) {
      for (int64_t i = 0; i < d.in_w * width; ++i) sums[i] = 0;
      auto* from = static_cast<const T*>(dy) + (image * blocks(d) + block) * d.out_h * d.out_w * width;
      give_rows(d, from, packed + block * taps(d) * width, row, sums);
      for (int64_t l = 0; l < width; ++l) {
        float* channel = channels + (block * width + l) / d.multiplier * d.in_w;
        for (int64_t q = 0; q < d.in_w; ++q) channel[q] += sums[q * width + l];
      }
    }
    for (int64_t c = 0; c < d.inputs; ++c) {
      T* to = static_cast<T*>(dx) + (image * d.inputs + c / d.input_block * d.input_block) * d.in_h * d.in_w +
              row * d.in_w * d.input_block + c % d.input_block;
      for (int64_t q = 0; q < d.in_w; ++q) store(to + q * d.input_block, broadcast(channels[c * d.in_w + q]), 1);
    }
  }
}

// The products of one row of dy with a line of x, as far apart as the tap says.
template <class T>
inline Vector products(const Depthwise& d, const T* dy, const float* line) {
  Accumulator sum;
  int64_t j = 0;
  for (; j + 4 <= d.out_w; j += 4)
    for (int u = 0; u < 4; ++u) sum.part[u] += load(dy + (j + u) * width) * load(line + (j + u) * d.stride_w * width);
  for (; j < d.out_w; ++j) sum.part[0] += load(dy + j * width) * load(line + j * d.stride_w * width);
  return sum.total();
}

template <class T>
void weight_gradient(const Depthwise& d, const void* x, const void* dy, float* parts, float* scratch, int64_t begin,
                     int64_t end) {
  const float* rows[most_kernel_rows];
  Lines<T> lines(d, static_cast<const T*>(x), scratch);
  for (int64_t map = begin; map < end; ++map) {
    float* part = parts + map * taps(d) * width;
    for (int64_t i = 0; i < taps(d) * width; ++i) part[i] = 0;
    lines.start(map / blocks(d), map % blocks(d));
    for (int64_t i = 0; i < d.out_h; ++i) {
      lines.rows_of(i, rows);
      auto* from = static_cast<const T*>(dy) + (map * d.out_h + i) * d.out_w * width;
      for (int64_t t = 0; t < taps(d); ++t) {
        const float* row = rows[t / d.kernel_w];
        if (!row) continue;
        float* to = part + t * width;
        store(to, load(to) + products(d, from, row + t % d.kernel_w * d.dilation_w * width));
      }
    }
  }
}

void add_parts(const Depthwise& d, const float* parts, float* dw, int64_t begin, int64_t end) {
  for (int64_t block = begin; block < end; ++block)
    for (int64_t t = 0; t < taps(d); ++t) {
      Doubles sum = {};
      for (int64_t n = 0; n < d.n; ++n)
        sum += __builtin_convertvector(load(parts + ((n * blocks(d) + block) * taps(d) + t) * width), Doubles);
      for (int l = 0; l < width; ++l) dw[(block * width + l) * taps(d) + t] = static_cast<float>(sum[l]);
    }
}

template <class T>
void pack(const Depthwise& d, const void* w, float* packed) {
  auto* from = static_cast<const T*>(w);
  for (int64_t o = 0; o < d.outputs; ++o)
    for (int64_t t = 0; t < taps(d); ++t)
      packed[(o / width * taps(d) + t) * width + o % width] = value(from + o * taps(d) + t);
}

int64_t scratch_floats(const Depthwise& d) {
  return larger(extent_h(d) * line_pixels(d) * width, d.in_w * (width + d.inputs));
}

template <class T>
constexpr DepthwiseKernels table = {pack<T>,          scratch_floats,     forward<T>,
                                    data_gradient<T>, weight_gradient<T>, add_parts};

}  // namespace

const DepthwiseKernels depthwise_float32 = table<float>;
const DepthwiseKernels depthwise_bfloat16 = table<BFloat16>;

}  // namespace node_cudnn::cpu::simd::NODE_CUDNN_SIMD
