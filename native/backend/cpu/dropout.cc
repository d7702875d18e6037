#include <array>
#include <cmath>

#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"
#include "program/bfloat16.h"
#include "program/philox.h"

namespace node_cudnn::cpu {
namespace {

// The factors of elements in logical order: 0 where dropped, else 1 / (1 - p).
class Mask {
 public:
  Mask(const Dropout& d, int32_t seed, int32_t step)
      : key_{static_cast<uint32_t>(seed), 1},
        step_(static_cast<uint32_t>(step)),
        stream_(d.stream),
        drop_below_(static_cast<uint32_t>(std::ldexp(d.p, 32))),
        scale_(static_cast<float>(1 / (1 - d.p))) {}

  void fill(int64_t first, int64_t count, float* factors) const {
    for (int64_t i = first / 4 * 4; i < first + count; i += 4) {
      const PhiloxCounter r = philox4x32({step_, stream_, static_cast<uint32_t>(i / 4), 0}, key_);
      for (int64_t k = std::max(i, first); k < std::min(i + 4, first + count); ++k)
        factors[k - first] = r[static_cast<size_t>(k - i)] >= drop_below_ ? scale_ : 0;
    }
  }

 private:
  PhiloxKey key_;
  uint32_t step_, stream_, drop_below_;
  float scale_;
};

// A value as maps [planes][pixels][block]; a plain one is a single map.
struct Maps {
  int64_t planes, pixels, block;
};

Maps maps_of(const Cpu& cpu, const ValueType& type) {
  if (type.format != Format::activation) return {1, elements(type.shape), 1};
  const Layout layout = activation_layout(cpu, type.shape);
  return {layout.n * layout.blocks(), layout.h * layout.w, layout.block};
}

// Pixels [begin, end) of one channel block.
template <class T>
void drop(const Mask& mask, const Maps& maps, int64_t plane, int64_t begin, int64_t end, const T* x, T* y) {
  constexpr int64_t most = 256;
  std::array<float, most> factors;
  for (int64_t c = 0; c < maps.block; ++c) {
    const int64_t map = plane * maps.block + c;  // the logical place of the channel's map
    for (int64_t first = begin; first < end; first += most) {
      const int64_t count = std::min(most, end - first);
      mask.fill(map * maps.pixels + first, count, factors.data());
      for (int64_t i = 0; i < count; ++i) {
        const int64_t at = (plane * maps.pixels + first + i) * maps.block + c;
        const float factor = factors[static_cast<size_t>(i)];
        y[at] = static_cast<T>(factor == 0 ? 0.0F : static_cast<float>(x[at]) * factor);
      }
    }
  }
}

template <class T>
Prepared dropout(const Cpu& cpu, const Dropout& d, const Maps& maps) {
  constexpr int64_t length = 4096;
  const int64_t parts = (maps.pixels + length - 1) / length;
  const auto run = [=, threads = cpu.threads](const Arguments& a) {
    const Mask mask(d, *input<int32_t>(a, 1), *input<int32_t>(a, 2));
    parallel(threads, maps.planes * parts, 2, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = i % parts * length;
        drop(mask, maps, i / parts, first, std::min(first + length, maps.pixels), input<T>(a, 0), output<T>(a, 0));
      }
    });
  };
  return prepared("loops", run, 0, {{0, 0}});
}

}  // namespace

Prepared prepare_dropout(const Cpu& cpu, const Graph& graph, const Node& node) {
  const Dropout d = expect_dropout(graph, node);
  const ValueType& x = input_type(graph, node, 0);
  const Maps maps = maps_of(cpu, x);
  return x.dtype == DType::bfloat16 ? dropout<bfloat16>(cpu, d, maps) : dropout<float>(cpu, d, maps);
}

}  // namespace node_cudnn::cpu
