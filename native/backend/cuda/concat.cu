#include "backend/cuda/columns.h"
#include "backend/cuda/ops.h"
#include "backend/cuda/slices.h"

namespace node_cudnn::cuda {
namespace {

// Copies the channels of every pixel between images of different numbers of channels.
template <class T>
struct CopyChannels {
  const T* from;
  T* to;
  int64_t from_gap, to_gap;  // what the pixels of both have beside these channels

  template <int V>
  __device__ auto column(int64_t) const {
    return [*this](Place at) { store(to + at.within(to_gap), load<V>(from + at.within(from_gap))); };
  }
};

// One stretch of channels within both images, of that input.
struct Stretch {
  size_t input;
  int64_t pixels, channels, from_begin, from_stride, to_begin, to_stride;
};

template <class T>
void copy(const Cuda& cuda, const Stretch& s, const T* from, T* to) {
  const bool whole = (s.from_begin | s.from_stride | s.to_begin | s.to_stride) % full_vector<T> == 0;
  with_vector<T>(whole ? s.channels : 1, [&]<int V>(std::integral_constant<int, V>) {
    map_columns<V>(
        cuda, make_columns(cuda, s.pixels, s.channels, V),
        CopyChannels<T>{from + s.from_begin, to + s.to_begin, s.from_stride - s.channels, s.to_stride - s.channels});
  });
}

std::string implementation(size_t copied, size_t of) {
  if (copied == 0) return "in place";
  return copied == of ? "cuda" : "cuda, " + std::to_string(of - copied) + " of " + std::to_string(of) + " in place";
}

}  // namespace

Prepared prepare_concat(Cuda& cuda, const Graph& graph, const Node& node) {
  expect(!node.inputs.empty(), "needs at least one input");
  expect_counts(node, node.inputs.size(), 1);
  const ValueType& y = output_type(graph, node, 0);
  const Dims out = expect_activation("y", y);
  std::vector<Stretch> stretches;
  int64_t begin = 0;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ValueType& x = input_type(graph, node, i);
    const Dims in = expect_activation("x", x);
    expect_type("x", x, {y.dtype, Format::activation, {out.n, in.c, out.h, out.w}});
    if (!lies_inside(graph, node.inputs[i], node.outputs[0]))
      stretches.push_back({i, out.pixels(), in.c, 0, in.c, begin, out.c});
    begin += in.c;
  }
  expect(begin == out.c, "y must have the channels of all inputs, " + std::to_string(begin));
  return with_float(y.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared(implementation(stretches.size(), node.inputs.size()), [&cuda, stretches](const Arguments& a) {
      for (const Stretch& s : stretches) copy(cuda, s, input<T>(a, s.input), output<T>(a, 0));
    });
  });
}

Prepared prepare_slice_channels(Cuda& cuda, const Graph& graph, const Node& node) {
  const int64_t begin = expect_slice_channels(graph, node);
  const ValueType &x = input_type(graph, node, 0), &y = output_type(graph, node, 0);
  const Dims in = expect_activation("x", x), out = expect_activation("y", y);
  if (lies_inside(graph, node.outputs[0], node.inputs[0])) return prepared("in place", [](const Arguments&) {});
  const Stretch stretch{0, in.pixels(), out.c, begin, in.c, 0, out.c};
  return with_float(x.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared("cuda",
                    [&cuda, stretch](const Arguments& a) { copy(cuda, stretch, input<T>(a, 0), output<T>(a, 0)); });
  });
}

}  // namespace node_cudnn::cuda
