#include <array>
#include <vector>

#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"
#include "program/bfloat16.h"
#include "program/philox.h"

namespace node_cudnn::cpu {
namespace {

struct Augmentation {
  Layout y;
  int64_t height, width, padding;  // of the pictures [N, height, width, C]
  bool flip;

  int64_t free_rows() const { return height + 2 * padding - y.h; }
  int64_t free_columns() const { return width + 2 * padding - y.w; }
};

// What each of the 256 pixel values becomes, per channel.
template <class T>
using Table = std::vector<std::array<T, 256>>;

template <class T>
Table<T> make_table(const std::vector<double>& mean, const std::vector<double>& std) {
  Table<T> table(mean.size());
  for (size_t c = 0; c < mean.size(); ++c)
    for (size_t pixel = 0; pixel < 256; ++pixel)
      table[c][pixel] = static_cast<T>(static_cast<float>((static_cast<double>(pixel) / 255 - mean[c]) / std[c]));
  return table;
}

// Where a crop starts in the picture, padding left off; columns run backwards where it is mirrored.
struct Crop {
  int64_t top, left;
  bool mirrored;
};

Crop centre_crop(const Augmentation& g) {
  return {g.free_rows() / 2 - g.padding, g.free_columns() / 2 - g.padding, false};
}

Crop random_crop(const Augmentation& g, int32_t seed, int32_t step, int64_t n) {
  const PhiloxCounter r =
      philox4x32({static_cast<uint32_t>(step), static_cast<uint32_t>(n), 0, 0}, {static_cast<uint32_t>(seed), 0});
  return {philox_below(r[0], static_cast<uint32_t>(g.free_rows() + 1)) - g.padding,
          philox_below(r[1], static_cast<uint32_t>(g.free_columns() + 1)) - g.padding, g.flip && (r[2] >> 31) != 0};
}

// One row of one channel: `picture` is that channel of the picture's row, null where the row is padding.
template <class T>
void cut_row(const Augmentation& g, const Crop& crop, const std::array<T, 256>& table, const uint8_t* picture, T* to) {
  const int64_t block = g.y.block, channels = g.y.c;
  const int64_t step = crop.mirrored ? -1 : 1, first = crop.mirrored ? crop.left + g.y.w - 1 : crop.left;
  // Output columns j with 0 <= first + step * j < width come from the picture.
  int64_t begin = crop.mirrored ? first - g.width + 1 : -first, end = crop.mirrored ? first + 1 : g.width - first;
  begin = picture ? std::clamp<int64_t>(begin, 0, g.y.w) : g.y.w;
  end = picture ? std::clamp<int64_t>(end, begin, g.y.w) : g.y.w;
  for (int64_t j = 0; j < begin; ++j) to[j * block] = table[0];
  for (int64_t j = begin; j < end; ++j) to[j * block] = table[picture[(first + step * j) * channels]];
  for (int64_t j = end; j < g.y.w; ++j) to[j * block] = table[0];
}

template <class T>
void cut(const Augmentation& g, const Crop& crop, const Table<T>& table, const uint8_t* picture, T* y) {
  for (int64_t c = 0; c < g.y.c; ++c) {
    T* plane = y + c / g.y.block * g.y.plane() + c % g.y.block;
    for (int64_t i = 0; i < g.y.h; ++i) {
      const int64_t row = crop.top + i;
      const bool inside = row >= 0 && row < g.height;
      cut_row(g, crop, table[static_cast<size_t>(c)], inside ? picture + row * g.width * g.y.c + c : nullptr,
              plane + i * g.y.w * g.y.block);
    }
  }
}

Augmentation check(const Cpu& cpu, const Graph& graph, const Node& node) {
  const ValueType& images = input_type(graph, node, 0);
  const Layout y = expect_activation(cpu, "y", output_type(graph, node, 0));
  expect(images.shape.size() == 4, "images must be [N, H, W, C], not " + to_string(images.shape));
  expect_type("images", images, plain(DType::uint8, {y.n, images.shape[1], images.shape[2], y.c}));
  const Augmentation g = {y, images.shape[1], images.shape[2], expect_integer(node, "padding", 0),
                          node.attributes.flag("flip")};
  expect(g.free_rows() >= 0 && g.free_columns() >= 0,
         "the padded images " + to_string(images.shape) + " are smaller than y " +
             to_string(output_type(graph, node, 0).shape) + "; raise padding or shrink y");
  return g;
}

std::vector<double> channel_numbers(const Node& node, const char* key, int64_t channels) {
  const std::vector<double>& values = node.attributes.numbers(key);
  expect(static_cast<int64_t>(values.size()) == channels, std::string(key) + " has " + std::to_string(values.size()) +
                                                              " values for " + std::to_string(channels) + " channels");
  return values;
}

template <class T>
Prepared augment(const Cpu& cpu, const Node& node, const Augmentation& g) {
  const std::vector<double> std = channel_numbers(node, "std", g.y.c);
  for (const double value : std) expect(value > 0, "std must be positive, not " + std::to_string(value));
  const bool random = node.inputs.size() == 3;
  return prepared("loops", [=, threads = cpu.threads,
                            table = make_table<T>(channel_numbers(node, "mean", g.y.c), std)](const Arguments& a) {
    const auto* images = input<uint8_t>(a, 0);
    const int64_t picture = g.height * g.width * g.y.c, image = g.y.c * g.y.h * g.y.w;
    parallel(threads, g.y.n, 4, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        const Crop crop = random ? random_crop(g, *input<int32_t>(a, 1), *input<int32_t>(a, 2), n) : centre_crop(g);
        cut(g, crop, table, images + n * picture, output<T>(a, 0) + n * image);
      }
    });
  });
}

}  // namespace

Prepared prepare_augment(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, node.inputs.size() == 3 ? 3 : 1, 1);
  const Augmentation g = check(cpu, graph, node);
  for (size_t i = 1; i < node.inputs.size(); ++i)
    expect_type(i == 1 ? "seed" : "step", input_type(graph, node, i), plain(DType::int32, {1}));
  return output_type(graph, node, 0).dtype == DType::bfloat16 ? augment<bfloat16>(cpu, node, g)
                                                              : augment<float>(cpu, node, g);
}

}  // namespace node_cudnn::cpu
