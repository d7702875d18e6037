// Channels are moved between activations whose blocks and offsets may differ: whole blocks are copied as they lie,
// others channel by channel. What lies inside the other side already is not copied.
#include <cstring>

#include "backend/common/slices.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"

namespace node_cudnn::cpu {
namespace {

constexpr int64_t most_channels = 16;  // of a piece: threads share the pieces of all images

// Channels [from, from + count) of an input are the channels [to, to + count) of the output.
struct Piece {
  size_t input;
  int64_t from, to, count;
};

void cut(size_t input, int64_t from, int64_t to, int64_t channels, std::vector<Piece>& pieces) {
  for (int64_t c = 0; c < channels; c += most_channels)
    pieces.push_back({input, from + c, to + c, std::min(most_channels, channels - c)});
}

// One image. Elements are moved, never computed with: T is an unsigned integer of the element's size.
template <class T>
void move(const Layout& x, const T* image, const Layout& y, T* result, const Piece& p) {
  const int64_t pixels = x.h * x.w;
  if (x.block == y.block && (p.from | p.to | p.count) % x.block == 0) {
    std::memcpy(result + p.to * pixels, image + p.from * pixels, static_cast<size_t>(p.count * pixels) * sizeof(T));
    return;
  }
  for (int64_t c = 0; c < p.count; ++c) {
    const T* from = image + (p.from + c) / x.block * x.plane() + (p.from + c) % x.block;
    T* to = result + (p.to + c) / y.block * y.plane() + (p.to + c) % y.block;
    for (int64_t i = 0; i < pixels; ++i) to[i * y.block] = from[i * x.block];
  }
}

template <class T>
Prepared move(const Cpu& cpu, const std::vector<Layout>& inputs, const Layout& y, const std::vector<Piece>& pieces,
              const std::string& implementation) {
  return prepared(implementation, [=, threads = cpu.threads](const Arguments& a) {
    const auto count = static_cast<int64_t>(pieces.size());
    parallel(threads, y.n * count, 2, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / count;
        const Piece& piece = pieces[static_cast<size_t>(i % count)];
        const Layout& x = inputs[piece.input];
        move(x, input<T>(a, piece.input) + n * x.blocks() * x.plane(), y, output<T>(a, 0) + n * y.blocks() * y.plane(),
             piece);
      }
    });
  });
}

Prepared move(const Cpu& cpu, const std::vector<Layout>& inputs, const Layout& y, const std::vector<Piece>& pieces,
              DType dtype, const std::string& implementation = "memcpy") {
  if (pieces.empty()) return prepared("in place", [](const Arguments&) {});
  return dtype == DType::bfloat16 ? move<uint16_t>(cpu, inputs, y, pieces, implementation)
                                  : move<uint32_t>(cpu, inputs, y, pieces, implementation);
}

}  // namespace

Prepared prepare_concat(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, std::max<size_t>(node.inputs.size(), 1), 1);
  const ValueType& y = output_type(graph, node, 0);
  const Layout to = expect_activation(cpu, "y", y);
  std::vector<Layout> inputs;
  std::vector<Piece> pieces;
  int64_t channels = 0;
  size_t in_place = 0;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ValueType& x = input_type(graph, node, i);
    const Layout from = expect_activation(cpu, "every input", x);
    expect_type("every input", x, {y.dtype, Format::activation, {to.n, from.c, to.h, to.w}});
    if (lies_inside(graph, node.inputs[i], node.outputs[0]))
      ++in_place;
    else
      cut(i, 0, channels, from.c, pieces);
    inputs.push_back(from);
    channels += from.c;
  }
  expect(channels == to.c, "y must have the " + std::to_string(channels) + " channels of all inputs");
  const std::string note = ", " + std::to_string(in_place) + " of " + std::to_string(node.inputs.size()) + " in place";
  return move(cpu, inputs, to, pieces, y.dtype, in_place ? "memcpy" + note : "memcpy");
}

Prepared prepare_slice_channels(const Cpu& cpu, const Graph& graph, const Node& node) {
  const int64_t begin = expect_slice_channels(graph, node);
  const ValueType &x = input_type(graph, node, 0), &y = output_type(graph, node, 0);
  const Layout from = activation_layout(cpu, x.shape), to = activation_layout(cpu, y.shape);
  std::vector<Piece> pieces;
  if (!lies_inside(graph, node.outputs[0], node.inputs[0])) cut(0, begin, 0, to.c, pieces);
  return move(cpu, {from}, to, pieces, x.dtype);
}

}  // namespace node_cudnn::cpu
