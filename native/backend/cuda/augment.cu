#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/ops.h"
#include "program/philox.h"

namespace node_cudnn::cuda {
namespace {

constexpr int most_channels = 64;

// y = pixel * scale + shift.
struct Normalisation {
  float scale[most_channels], shift[most_channels];
};

struct Augmentation {
  int height, width, channels, out_height, out_width, padding;
  bool flip;

  __device__ int free_rows() const { return height + 2 * padding - out_height; }
  __device__ int free_columns() const { return width + 2 * padding - out_width; }
};

// Where a crop starts in the padded picture.
struct Crop {
  int top, left;
  bool mirrored;
};

__device__ Crop choose_crop(const Augmentation& g, const int32_t* seed, const int32_t* step, int64_t n) {
  if (seed == nullptr) return {g.free_rows() / 2, g.free_columns() / 2, false};
  const PhiloxCounter r =
      philox4x32({static_cast<uint32_t>(*step), static_cast<uint32_t>(n), 0, 0}, {static_cast<uint32_t>(*seed), 0});
  return {static_cast<int>(philox_below(r[0], static_cast<uint32_t>(g.free_rows() + 1))),
          static_cast<int>(philox_below(r[1], static_cast<uint32_t>(g.free_columns() + 1))),
          g.flip && (r[2] >> 31) != 0};
}

// A block's images go along y; a thread does the channels of one pixel.
template <class T>
__global__ void __launch_bounds__(block_threads)
    augment_kernel(Augmentation g, Normalisation normal, int64_t batch, const uint8_t* images, const int32_t* seed,
                   const int32_t* step, T* y) {
  for (int64_t n = blockIdx.y; n < batch; n += gridDim.y) {
    const Crop crop = choose_crop(g, seed, step, n);
    for (int64_t pixel = thread_index(); pixel < g.out_height * g.out_width; pixel += thread_count()) {
      const int i = static_cast<int>(pixel) / g.out_width, j = static_cast<int>(pixel) % g.out_width;
      const int row = crop.top + i - g.padding;
      const int column = crop.left + (crop.mirrored ? g.out_width - 1 - j : j) - g.padding;
      const bool inside = row >= 0 && row < g.height && column >= 0 && column < g.width;
      const uint8_t* from = images + ((n * g.height + row) * g.width + column) * g.channels;
      T* to = y + (n * g.out_height * g.out_width + pixel) * g.channels;
      for (int c = 0; c < g.channels; ++c)
        to[c] = from_float<T>(fmaf(inside ? to_float(from[c]) : 0, normal.scale[c], normal.shift[c]));
    }
  }
}

Normalisation make_normalisation(const Node& node, int64_t channels) {
  const auto &mean = node.attributes.numbers("mean"), &std = node.attributes.numbers("std");
  const auto count = static_cast<size_t>(channels);
  expect(mean.size() == count && std.size() == count, "mean and std must have one number per channel");
  expect(channels <= most_channels, "the device cuda augments pictures of at most " + std::to_string(most_channels) +
                                        " channels, not " + std::to_string(channels));
  Normalisation normal{};
  for (size_t c = 0; c < count; ++c) {
    expect(std[c] > 0, "std must be positive");
    normal.scale[c] = static_cast<float>(1 / (255 * std[c]));
    normal.shift[c] = static_cast<float>(-mean[c] / std[c]);
  }
  return normal;
}

}  // namespace

Prepared prepare_augment(Cuda& cuda, const Graph& graph, const Node& node) {
  const bool random = node.inputs.size() == 3;
  expect_counts(node, random ? 3 : 1, 1);
  const ValueType& images = input_type(graph, node, 0);
  const Dims y = expect_activation("y", output_type(graph, node, 0));
  expect(images.shape.size() == 4, "images must be [N, H, W, C]");
  const int64_t height = images.shape[1], width = images.shape[2], padding = expect_integer(node, "padding", 0);
  expect_type("images", images, plain(DType::uint8, {y.n, height, width, y.c}));
  expect(height + 2 * padding < (1 << 15) && width + 2 * padding < (1 << 15), "pictures are too large");
  expect(y.h <= height + 2 * padding && y.w <= width + 2 * padding, "y must not be larger than the padded images");
  if (random) expect_type("seed", input_type(graph, node, 1), plain(DType::int32, {1}));
  if (random) expect_type("step", input_type(graph, node, 2), plain(DType::int32, {1}));
  const auto to_int = [](int64_t x) { return static_cast<int>(x); };
  const Augmentation g{to_int(height),
                       to_int(width),
                       to_int(y.c),
                       to_int(y.h),
                       to_int(y.w),
                       to_int(padding),
                       node.attributes.flag("flip")};
  const Normalisation normal = make_normalisation(node, y.c);
  const dim3 grid(static_cast<unsigned>((y.plane() + block_threads - 1) / block_threads),
                  static_cast<unsigned>(std::min<int64_t>(y.n, 65535)));
  return with_float(output_type(graph, node, 0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared("cuda", [=, &cuda](const Arguments& a) {
      launch(augment_kernel<T>, grid, block_threads, 0, cuda.stream, g, normal, y.n, input<uint8_t>(a, 0),
             random ? input<int32_t>(a, 1) : nullptr, random ? input<int32_t>(a, 2) : nullptr, output<T>(a, 0));
    });
  });
}

}  // namespace node_cudnn::cuda
