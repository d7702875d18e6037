// From an encoded picture to the pixels that a network sees: cut, resized, mirrored, recoloured.
#pragma once

#include <vector>

#include "image/color.h"
#include "image/reader.h"
#include "image/resample.h"

namespace node_cudnn::image {

struct Request {
  Box box;                              // of the picture: what is cut out
  Size scaled;                          // to what the box is resized
  Box window;                           // of that: what is wanted
  bool flip;                            // left to right
  bool shrink;                          // a JPEG file may be decoded smaller, where the box is to shrink much
  std::vector<Adjustment> adjustments;  // of the result, in this order
};

// Writes uint8 [window.height, window.width, 3]: to the bit what Pillow makes of the same pixels, but for `shrink`.
// Throws PictureError.
void read_picture(RowReader& reader, const Request& request, Filter filter, uint8_t* target);

}  // namespace node_cudnn::image
