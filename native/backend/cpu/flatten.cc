#include <cstring>

#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"

namespace node_cudnn::cpu {
namespace {

Layout check(const Cpu& cpu, const Node& node, const ValueType& image, const ValueType& flat) {
  expect_counts(node, 1, 1);
  const Layout layout = expect_activation(cpu, "the image", image);
  expect_type("the flattened image", flat, plain(image.dtype, {layout.n, layout.c * layout.h * layout.w}));
  return layout;
}

// One channel block: [h * w][block] to [block][h * w], and back.
template <class T>
void separate(const T* from, T* to, int64_t pixels, int64_t block) {
  for (int64_t c = 0; c < block; ++c)
    for (int64_t i = 0; i < pixels; ++i) to[c * pixels + i] = from[i * block + c];
}
template <class T>
void interleave(const T* from, T* to, int64_t pixels, int64_t block) {
  for (int64_t i = 0; i < pixels; ++i)
    for (int64_t c = 0; c < block; ++c) to[i * block + c] = from[c * pixels + i];
}

template <class T>
Prepared reorder(const Cpu& cpu, const Layout& layout, bool flatten) {
  return prepared("loops", [=, threads = cpu.threads](const Arguments& a) {
    const int64_t plane = layout.plane();
    parallel(threads, layout.n * layout.blocks(), 16384 / plane + 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        (flatten ? separate<T> : interleave<T>)(input<T>(a, 0) + i * plane, output<T>(a, 0) + i * plane,
                                                layout.h * layout.w, layout.block);
    });
  });
}

Prepared prepare(const Cpu& cpu, const Layout& layout, DType dtype, bool flatten) {
  const size_t bytes = static_cast<size_t>(layout.size()) * size_of(dtype);
  if (layout.block == 1)  // the logical order is the physical one
    return prepared("memcpy", [bytes](const Arguments& a) { std::memmove(a.outputs[0], a.inputs[0], bytes); }, 0,
                    {{0, 0}});
  return dtype == DType::bfloat16 ? reorder<uint16_t>(cpu, layout, flatten) : reorder<uint32_t>(cpu, layout, flatten);
}

}  // namespace

Prepared prepare_flatten(const Cpu& cpu, const Graph& graph, const Node& node) {
  const ValueType& x = input_type(graph, node, 0);
  return prepare(cpu, check(cpu, node, x, output_type(graph, node, 0)), x.dtype, true);
}

Prepared prepare_unflatten(const Cpu& cpu, const Graph& graph, const Node& node) {
  const ValueType& flat = input_type(graph, node, 0);
  return prepare(cpu, check(cpu, node, output_type(graph, node, 0), flat), flat.dtype, false);
}

}  // namespace node_cudnn::cpu
