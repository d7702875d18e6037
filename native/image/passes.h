// The two passes of resizing, over RGBX rows. Sums are exact; each pass rounds to whole levels, as in Pillow.
#pragma once

#include <cstddef>
#include <cstdint>

#include "image/resample.h"

namespace node_cudnn::image {

// Rows are read and written in vectors: up to so many bytes behind their end.
constexpr size_t overrun = 16;

// `count` pixels from a row whose first pixel is columns.begin().
void resize_row(const uint8_t* row, const Resampling& columns, int count, uint8_t* target);

// A row of `bytes` bytes from two source rows for each of the pairs of weights.
void blend_rows(const uint8_t* const* sources, const Weights* weights, int pairs, size_t bytes, uint8_t* target);

}  // namespace node_cudnn::image
