// Antialiased resizing along one axis, as Pillow does it: the filter is as wide as an output pixel where the picture
// shrinks, never reaches beyond the box, and its weights are whole numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace node_cudnn::image {

enum class Filter : uint8_t { bilinear, bicubic };

// `begin` and `length` are the box, in pixels of a picture that has `size` of them; it becomes `scaled` pixels, of
// which `count` from `first` on are wanted.
struct Axis {
  double begin, length;
  int size, scaled, first, count;
};

constexpr int weight_bits = 22;  // of a weight of 1
constexpr int low_bits = 11;

// Of two neighbouring source pixels, as products of 16 bits want them: a weight is 2^low_bits high + low.
struct Weights {
  int16_t high[2], low[2];
};

class Resampling {
 public:
  Resampling(const Axis& axis, Filter filter);

  // The source pixels that any output pixel needs: begin() <= pixel < end().
  int begin() const { return begins_.front(); }
  int end() const { return end_; }
  // Output pixel i is the sum of taps(i) source pixels from begin(i) on. Where their number is odd, the last pair of
  // weights has a zero.
  int begin(int i) const { return begins_[static_cast<size_t>(i)]; }
  int taps(int i) const { return taps_[static_cast<size_t>(i)]; }
  int pairs(int i) const { return (taps(i) + 1) / 2; }
  const Weights* weights(int i) const { return weights_.data() + static_cast<size_t>(i) * stride_; }
  int most_taps() const { return static_cast<int>(stride_) * 2; }

 private:
  std::vector<int> begins_, taps_;
  std::vector<Weights> weights_;
  size_t stride_;
  int end_;
};

}  // namespace node_cudnn::image
