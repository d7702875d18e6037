// A picture that is read from the top down, row by row, and only where it is wanted. Rows are RGBX: the fourth byte of
// a pixel is nothing, so that a pixel fills a vector.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace node_cudnn::image {

// Damaged: the file is at fault. Unsupported: another decoder may read it.
enum class Fault : uint8_t { damaged, unsupported };

class PictureError : public std::runtime_error {
 public:
  PictureError(Fault fault, const std::string& message) : std::runtime_error(message), fault_(fault) {}
  Fault fault() const { return fault_; }

 private:
  Fault fault_;
};

struct Size {
  int width, height;
};

struct Box {
  int left, top, width, height;
};

class RowReader {
 public:
  struct Row {
    int pixels;  // of a whole row, as next() writes it
    int before;  // pixels left of the region
  };

  virtual ~RowReader() = default;
  virtual Size size() const = 0;
  // Asks for a picture of 1/divisor of the size (rounded up), divisor being 1, 2, 4 or 8; gives the one that it will
  // be.
  virtual int shrink(int /*divisor*/) { return 1; }
  // `region` is of the shrunk picture. The first row that follows is region.top.
  virtual Row begin(const Box& region) = 0;
  virtual void next(uint8_t* row) = 0;
};

}  // namespace node_cudnn::image
