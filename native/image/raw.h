// Pixels that another decoder made: uint8 [height, width, 3].
#pragma once

#include "image/reader.h"

namespace node_cudnn::image {

class RawReader final : public RowReader {
 public:
  RawReader(const uint8_t* pixels, const Size& size) : pixels_(pixels), size_(size) {}

  Size size() const override { return size_; }

  Row begin(const Box& region) override {
    region_ = region;
    return {region.width, 0};
  }

  void next(uint8_t* row) override {
    const auto skipped = static_cast<size_t>(region_.top++) * static_cast<size_t>(size_.width);
    const uint8_t* from = pixels_ + (skipped + static_cast<size_t>(region_.left)) * 3;
    for (int x = 0; x < region_.width; ++x, row += 4, from += 3) {
      for (int c = 0; c < 3; ++c) row[c] = from[c];
      row[3] = 0;
    }
  }

 private:
  const uint8_t* pixels_;
  Size size_;
  Box region_ = {};
};

}  // namespace node_cudnn::image
