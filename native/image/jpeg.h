// JPEG files through libjpeg-turbo, where it was found at build time: only the wanted region is decoded, and a picture
// that is to shrink is shrunk on the way (DCT scaling).
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "image/reader.h"

namespace node_cudnn::image {

bool can_read_jpeg();

// Reads the header; `bytes` must outlive the reader. A warning of libjpeg is an error unless `tolerant`: a file that is
// cut short would be grey from there on. CMYK and 12 bit are unsupported. Throws PictureError, as do the reader's
// calls.
std::unique_ptr<RowReader> open_jpeg(std::span<const std::byte> bytes, bool tolerant);

}  // namespace node_cudnn::image
