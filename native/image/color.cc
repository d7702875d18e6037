#include "image/color.h"

namespace node_cudnn::image {
namespace {

// ITU-R 601-2 luma in 16-bit fixed point.
int grey(const uint8_t* pixel) { return (pixel[0] * 19595 + pixel[1] * 38470 + pixel[2] * 7471 + 0x8000) >> 16; }

int mean_grey(const uint8_t* pixels, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; ++i) sum += static_cast<uint64_t>(grey(pixels + 3 * i));
  return static_cast<int>(static_cast<double>(sum) / static_cast<double>(count) + 0.5);
}

// From `base` towards `level` and beyond, cut to whole levels.
uint8_t blend(int base, int level, float factor) {
  const float value = static_cast<float>(base) + factor * static_cast<float>(level - base);
  return static_cast<uint8_t>(value < 0 ? 0.0f : value > 255 ? 255.0f : value);
}

}  // namespace

void adjust(uint8_t* pixels, size_t count, const Adjustment& adjustment) {
  const auto [quality, factor] = adjustment;
  const int mean = quality == Quality::contrast && count > 0 ? mean_grey(pixels, count) : 0;
  for (size_t i = 0; i < count; ++i) {
    uint8_t* pixel = pixels + 3 * i;
    const int base = quality == Quality::saturation ? grey(pixel) : mean;
    for (int c = 0; c < 3; ++c) pixel[c] = blend(base, pixel[c], factor);
  }
}

}  // namespace node_cudnn::image
