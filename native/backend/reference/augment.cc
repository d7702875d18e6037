#include "backend/reference/ops.h"
#include "program/philox.h"

namespace node_cudnn::reference {
namespace {

struct Augmentation {
  Dims4 y;
  int64_t height, width, padding;  // of the pictures [N, height, width, C]
  bool flip;
  std::vector<double> mean, std;

  int64_t free_rows() const { return height + 2 * padding - y.h; }
  int64_t free_columns() const { return width + 2 * padding - y.w; }
};

// Where a crop starts in the padded picture.
struct Crop {
  int64_t top, left;
  bool mirrored;
};

Crop centre_crop(const Augmentation& g) { return {g.free_rows() / 2, g.free_columns() / 2, false}; }

Crop random_crop(const Augmentation& g, int32_t seed, int32_t step, int64_t n) {
  const auto r =
      philox4x32({static_cast<uint32_t>(step), static_cast<uint32_t>(n), 0, 0}, {static_cast<uint32_t>(seed), 0});
  return {philox_below(r[0], static_cast<uint32_t>(g.free_rows() + 1)),
          philox_below(r[1], static_cast<uint32_t>(g.free_columns() + 1)), g.flip && (r[2] >> 31) != 0};
}

template <class T>
void cut(const Augmentation& g, const Crop& crop, const uint8_t* images, int64_t n, T* y) {
  const auto pixel = [&](int64_t i, int64_t j, int64_t c) -> double {
    const int64_t row = crop.top + i - g.padding;
    const int64_t column = crop.left + (crop.mirrored ? g.y.w - 1 - j : j) - g.padding;
    if (row < 0 || row >= g.height || column < 0 || column >= g.width) return 0;
    return images[((n * g.height + row) * g.width + column) * g.y.c + c];
  };
  for (int64_t c = 0; c < g.y.c; ++c) {
    const double mean = g.mean[static_cast<size_t>(c)], std = g.std[static_cast<size_t>(c)];
    for (int64_t i = 0; i < g.y.h; ++i)
      for (int64_t j = 0; j < g.y.w; ++j) y[g.y.at(n, c, i, j)] = static_cast<T>((pixel(i, j, c) / 255 - mean) / std);
  }
}

Augmentation make_augmentation(const Op& op) {
  const ValueType& images = op.input(0);
  const Dims4 y = op.activation("y", op.output(0));
  op.expect(images.shape.size() == 4, "images must be [N, H, W, C]");
  const int64_t height = images.shape[1], width = images.shape[2];
  op.expect_type("images", images, DType::uint8, Format::plain, {y.n, height, width, y.c});
  Augmentation g{
      y, height, width, op.integer("padding", 0), op.flag("flip"), op.numbers("mean", y.c), op.numbers("std", y.c)};
  op.expect(g.free_rows() >= 0 && g.free_columns() >= 0, "y must not be larger than the padded images");
  for (const double value : g.std) op.expect(value > 0, "std must be positive");
  return g;
}

}  // namespace

Prepared prepare_augment(const Op& op) {
  const bool random = op.inputs() == 3;
  op.expect_counts(random ? 3 : 1, 1);
  const Augmentation g = make_augmentation(op);
  if (random) {
    op.expect_type("seed", op.input(1), DType::int32, {1});
    op.expect_type("step", op.input(2), DType::int32, {1});
  }
  return with_float(op, op.output(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      for (int64_t n = 0; n < g.y.n; ++n) {
        const Crop crop = random ? random_crop(g, *input<int32_t>(a, 1), *input<int32_t>(a, 2), n) : centre_crop(g);
        cut<T>(g, crop, input<uint8_t>(a, 0), n, output<T>(a, 0));
      }
    });
  });
}

}  // namespace node_cudnn::reference
