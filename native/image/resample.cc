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

}  // namespace

Resampling::Resampling(const Axis& axis, Filter filter) {
  const double scale = axis.length / axis.scaled;
  const double stretch = std::max(scale, 1.0);
  const double support = (filter == Filter::bicubic ? 2 : 1) * stretch;
  const int low = static_cast<int>(std::floor(axis.begin));
  const int high = std::min(axis.size, static_cast<int>(std::ceil(axis.begin + axis.length)));
  stride_ = static_cast<size_t>(std::ceil(support)) * 2 + 1;
  weights_.assign(stride_ * static_cast<size_t>(axis.count), 0);
  end_ = 0;
  for (int i = 0; i < axis.count; ++i) {
    const double centre = axis.begin + (axis.first + i + 0.5) * scale;
    const int begin = std::max(low, static_cast<int>(std::floor(centre - support + 0.5)));
    const int end = std::min(high, static_cast<int>(std::floor(centre + support + 0.5)));
    float* weights = weights_.data() + static_cast<size_t>(i) * stride_;
    double sum = 0;
    std::vector<double> exact;
    for (int pixel = begin; pixel < end; ++pixel) {
      const double distance = (pixel + 0.5 - centre) / stretch;
      exact.push_back(filter == Filter::bicubic ? cubic(distance) : triangle(distance));
      sum += exact.back();
    }
    for (size_t k = 0; k < exact.size(); ++k) weights[k] = static_cast<float>(exact[k] / sum);
    begins_.push_back(begin);
    taps_.push_back(end - begin);
    end_ = std::max(end_, end);
  }
}

}  // namespace node_cudnn::image
