#include "image/picture.h"

#include <cstring>
#include <vector>

namespace node_cudnn::image {
namespace {

using Pixel = float __attribute__((vector_size(16)));
using Levels = int __attribute__((vector_size(16)));

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
  int divisor = 8;
  while (divisor > 1 && (request.box.width < 2 * divisor * request.scaled.width ||
                         request.box.height < 2 * divisor * request.scaled.height))
    divisor /= 2;
  return divisor;
}

Resampling along(int begin, int length, int size, int divisor, int scaled, int first, int count, Filter filter) {
  const double by = divisor;
  return Resampling({begin / by, length / by, (size + divisor - 1) / divisor, scaled, first, count}, filter);
}

// The last rows that were read.
class Band {
 public:
  Band(RowReader& reader, const Box& region, int rows)
      : reader_(reader), row_(reader.begin(region)), rows_(rows), next_(region.top) {
    bytes_.resize(static_cast<size_t>(rows) * stride());
  }

  // The region's pixels in row y; valid for `rows` rows from the newest back.
  const uint8_t* row(int y) {
    for (; next_ <= y; ++next_) reader_.next(bytes_.data() + place(next_));
    return bytes_.data() + place(y) + static_cast<size_t>(row_.before) * 4;
  }

 private:
  size_t stride() const { return static_cast<size_t>(row_.pixels) * 4; }
  size_t place(int y) const { return static_cast<size_t>(y % rows_) * stride(); }

  RowReader& reader_;
  RowReader::Row row_;
  int rows_, next_;
  std::vector<uint8_t> bytes_;
};

void add_row(const uint8_t* __restrict row, float weight, float* __restrict sum, size_t count) {
  for (size_t i = 0; i < count; ++i) sum[i] += weight * static_cast<float>(row[i]);
}

void write_row(const float* line, const Resampling& columns, const Request& request, uint8_t* target) {
  const int width = request.window.width;
  for (int x = 0; x < width; ++x) {
    const float* from = line + static_cast<size_t>(columns.begin(x) - columns.begin()) * 4;
    const float* weights = columns.weights(x);
    Pixel sum = {0.5f, 0.5f, 0.5f, 0.5f};  // converting to integers cuts off
    for (int k = 0; k < columns.taps(x); ++k) {
      Pixel pixel;
      std::memcpy(&pixel, from + 4 * k, sizeof pixel);
      sum += weights[k] * pixel;
    }
    const Levels levels = __builtin_convertvector(sum, Levels);
    uint8_t* to = target + 3 * static_cast<size_t>(request.flip ? width - 1 - x : x);
    for (int c = 0; c < 3; ++c) to[c] = static_cast<uint8_t>(levels[c] < 0 ? 0 : levels[c] > 255 ? 255 : levels[c]);
  }
}

}  // namespace

void read_picture(RowReader& reader, const Request& request, Filter filter, uint8_t* target) {
  const auto& [box, scaled, window, flip, adjustments] = request;
  const Size size = reader.size();
  check(request, size);
  const int by = reader.shrink(divisor_for(request));
  const Resampling columns =
      along(box.left, box.width, size.width, by, scaled.width, window.left, window.width, filter);
  const Resampling rows = along(box.top, box.height, size.height, by, scaled.height, window.top, window.height, filter);
  const Box region = {columns.begin(), rows.begin(), columns.end() - columns.begin(), rows.end() - rows.begin()};
  Band band(reader, region, rows.most_taps());
  std::vector<float> line(static_cast<size_t>(region.width) * 4);
  for (int y = 0; y < window.height; ++y) {
    std::fill(line.begin(), line.end(), 0.0f);
    for (int k = 0; k < rows.taps(y); ++k)
      add_row(band.row(rows.begin(y) + k), rows.weights(y)[k], line.data(), line.size());
    write_row(line.data(), columns, request, target + static_cast<size_t>(y) * static_cast<size_t>(window.width) * 3);
  }
  const size_t pixels = static_cast<size_t>(window.width) * static_cast<size_t>(window.height);
  for (const Adjustment& adjustment : adjustments) adjust(target, pixels, adjustment);
}

}  // namespace node_cudnn::image
