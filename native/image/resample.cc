#include "image/resample.h"

#include <algorithm>
#include <cmath>

namespace node_cudnn::image {
namespace {

double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

// Keys 1981, "Cubic convolution interpolation for digital image processing", with a = -1/2 as in Pillow.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

void set(Weights& pair, size_t place, double weight) {
  const double scaled = weight * (1 << weight_bits);
  const int whole = static_cast<int>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
  pair.high[place] = static_cast<int16_t>(whole >> low_bits);
  pair.low[place] = static_cast<int16_t>(whole & ((1 << low_bits) - 1));
}

}  // namespace

// Positions count from the box's first whole pixel, as if it had been cut out before: so they round as Pillow's.
Resampling::Resampling(const Axis& axis, Filter filter) {
  const double scale = axis.length / axis.scaled;
  const double stretch = std::max(scale, 1.0), shrink = 1 / stretch;
  const double support = (filter == Filter::bicubic ? 2 : 1) * stretch;
  const int low = static_cast<int>(std::floor(axis.begin));
  const int limit = std::min(axis.size, static_cast<int>(std::ceil(axis.begin + axis.length))) - low;
  stride_ = static_cast<size_t>(std::ceil(support)) + 1;
  weights_.assign(stride_ * static_cast<size_t>(axis.count), {});
  end_ = 0;
  std::vector<double> exact;
  for (int i = 0; i < axis.count; ++i) {
    const double centre = axis.begin - low + (axis.first + i + 0.5) * scale;
    const int begin = std::max(0, static_cast<int>(std::floor(centre - support + 0.5)));
    const int end = std::min(limit, static_cast<int>(std::floor(centre + support + 0.5)));
    exact.clear();
    double sum = 0;
    for (int pixel = begin; pixel < end; ++pixel) {
      const double distance = (pixel - centre + 0.5) * shrink;
      exact.push_back(filter == Filter::bicubic ? cubic(distance) : triangle(distance));
      sum += exact.back();
    }
    Weights* pairs = weights_.data() + static_cast<size_t>(i) * stride_;
    for (size_t k = 0; k < exact.size(); ++k) set(pairs[k / 2], k % 2, exact[k] / sum);
    begins_.push_back(low + begin);
    taps_.push_back(end - begin);
    end_ = std::max(end_, low + end);
  }
}

}  // namespace node_cudnn::image
