// Brightness, contrast and saturation of uint8 RGB pixels, as Pillow's ImageEnhance changes them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace node_cudnn::image {

enum class Quality : uint8_t { brightness, contrast, saturation };

// Factor 1 changes nothing; 0 leaves black, the mean grey, or grey pixels.
struct Adjustment {
  Quality quality;
  float factor;
};

void adjust(uint8_t* pixels, size_t count, const Adjustment& adjustment);

}  // namespace node_cudnn::image
