#include "image/picture.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "image/passes.h"

namespace node_cudnn::image {
namespace {

void check(const Request& request, const Size& size) {
  const Box& box = request.box;
  if (box.left + box.width <= size.width && box.top + box.height <= size.height) return;
  throw PictureError(Fault::damaged, "it is " + std::to_string(size.width) + "x" + std::to_string(size.height) +
                                         ", less than the box that was asked for (" + std::to_string(box.width) + "x" +
                                         std::to_string(box.height) + " at " + std::to_string(box.left) + ", " +
                                         std::to_string(box.top) + ")");
}

// A shrunk picture that is still twice as large as wanted differs by a third of a grey level from the whole one; a
// smaller one by a whole level.
int divisor_for(const Request& request) {
  int divisor = request.shrink ? 8 : 1;
  while (divisor > 1 && (request.box.width < 2 * divisor * request.scaled.width ||
                         request.box.height < 2 * divisor * request.scaled.height))
    divisor /= 2;
  return divisor;
}

Resampling along(int begin, int length, int size, int divisor, int scaled, int first, int count, Filter filter) {
  const double by = divisor;
  return Resampling({begin / by, length / by, (size + divisor - 1) / divisor, scaled, first, count}, filter);
}

// As Pillow from version 13 on; before, columns came first always.
bool rows_come_first(const Request& request) {
  const int fewer_rows = request.box.height - request.scaled.height;
  const int fewer_columns = request.box.width - request.scaled.width;
  return fewer_rows > std::max(0, 2 * fewer_columns);
}

// The last rows that were read, resized where columns come first.
class Band {
 public:
  // `columns`: null where rows come first. `rows`: how many are kept.
  Band(RowReader& reader, const Box& region, const Resampling* columns, int width, int rows)
      : reader_(reader), columns_(columns), row_(reader.begin(region)), width_(width), rows_(rows), next_(region.top) {
    read_.resize(static_cast<size_t>(row_.pixels) * 4 + overrun);
    stride_ = columns ? static_cast<size_t>(width) * 4 + overrun : read_.size();
    kept_.resize(static_cast<size_t>(rows) * stride_);
  }

  // Row y of the region; valid for `rows` rows from the newest back.
  const uint8_t* row(int y) {
    for (; next_ <= y; ++next_) read(kept_.data() + place(next_));
    return kept_.data() + place(y) + (columns_ ? 0 : skipped());
  }

 private:
  size_t place(int y) const { return static_cast<size_t>(y % rows_) * stride_; }
  size_t skipped() const { return static_cast<size_t>(row_.before) * 4; }

  void read(uint8_t* target) {
    reader_.next(columns_ ? read_.data() : target);
    if (columns_) resize_row(read_.data() + skipped(), *columns_, width_, target);
  }

  RowReader& reader_;
  const Resampling* columns_;
  RowReader::Row row_;
  int width_, rows_, next_;
  size_t stride_;
  std::vector<uint8_t> read_, kept_;
};

// The window's rows.
class Resized {
 public:
  Resized(RowReader& reader, const Request& request, Filter filter)
      : by_(reader.shrink(divisor_for(request))),
        width_(request.window.width),
        columns_(along(request.box.left, request.box.width, reader.size().width, by_, request.scaled.width,
                       request.window.left, width_, filter)),
        rows_(along(request.box.top, request.box.height, reader.size().height, by_, request.scaled.height,
                    request.window.top, request.window.height, filter)),
        rows_first_(rows_come_first(request)),
        band_(reader, region(), rows_first_ ? nullptr : &columns_, width_, rows_.most_taps()),
        sources_(static_cast<size_t>(rows_.most_taps())),
        blended_(bytes() + overrun),
        row_(static_cast<size_t>(width_) * 4 + overrun) {}

  // RGBX; valid until the next call.
  const uint8_t* row(int y) {
    for (int k = 0; k < 2 * rows_.pairs(y); ++k)
      sources_[static_cast<size_t>(k)] = band_.row(rows_.begin(y) + std::min(k, rows_.taps(y) - 1));
    blend_rows(sources_.data(), rows_.weights(y), rows_.pairs(y), bytes(), blended_.data());
    if (!rows_first_) return blended_.data();
    resize_row(blended_.data(), columns_, width_, row_.data());
    return row_.data();
  }

 private:
  Box region() const {
    return {columns_.begin(), rows_.begin(), columns_.end() - columns_.begin(), rows_.end() - rows_.begin()};
  }
  size_t bytes() const { return static_cast<size_t>(rows_first_ ? region().width : width_) * 4; }

  int by_, width_;
  Resampling columns_, rows_;
  bool rows_first_;
  Band band_;
  std::vector<const uint8_t*> sources_;
  std::vector<uint8_t> blended_, row_;
};

// RGB from RGBX. All pixels but the last are written with a byte too many, which the next one overwrites.
void write_row(const uint8_t* row, int width, bool flip, uint8_t* target) {
  const int step = flip ? -4 : 4;
  if (flip) row += 4 * static_cast<ptrdiff_t>(width - 1);
  for (int x = 1; x < width; ++x, row += step, target += 3) std::memcpy(target, row, 4);
  std::memcpy(target, row, 3);
}

}  // namespace

void read_picture(RowReader& reader, const Request& request, Filter filter, uint8_t* target) {
  check(request, reader.size());
  const auto width = static_cast<size_t>(request.window.width), height = static_cast<size_t>(request.window.height);
  Resized picture(reader, request, filter);
  for (size_t y = 0; y < height; ++y)
    write_row(picture.row(static_cast<int>(y)), request.window.width, request.flip, target + y * width * 3);
  for (const Adjustment& adjustment : request.adjustments) adjust(target, width * height, adjustment);
}

}  // namespace node_cudnn::image
