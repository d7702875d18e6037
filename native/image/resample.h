// Antialiased resizing along one axis, as Pillow does it: the filter is as wide as an output pixel where the picture
// shrinks, and never reaches beyond the box.
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

class Resampling {
 public:
  Resampling(const Axis& axis, Filter filter);

  // The source pixels that any output pixel needs: begin() <= pixel < end().
  int begin() const { return begins_.front(); }
  int end() const { return end_; }
  // Output pixel i is the sum of taps(i) source pixels from begin(i) on, times weights(i).
  int begin(int i) const { return begins_[static_cast<size_t>(i)]; }
  int taps(int i) const { return taps_[static_cast<size_t>(i)]; }
  const float* weights(int i) const { return weights_.data() + static_cast<size_t>(i) * stride_; }
  int most_taps() const { return static_cast<int>(stride_); }

 private:
  std::vector<int> begins_, taps_;
  std::vector<float> weights_;
  size_t stride_;
  int end_;
};

}  // namespace node_cudnn::image
