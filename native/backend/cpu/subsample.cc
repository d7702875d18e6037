#include <cstring>

#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"

namespace node_cudnn::cpu {
namespace {

struct Subsampling {
  Layout x, y;
  int64_t stride_h, stride_w;
};

Subsampling make_subsampling(const Cpu& cpu, const Node& node, const ValueType& x, const ValueType& y) {
  const std::vector<int64_t> stride = expect_subsample(node, x, y);
  return {activation_layout(cpu, x.shape), activation_layout(cpu, y.shape), stride[0], stride[1]};
}

// Elements are moved, never computed with: a block of one width is copied as it is, others channel by channel.
// T is an unsigned integer of the element's size; `width` channels stand together in x and in y.
template <class T, int64_t width>
class Mover {
 public:
  explicit Mover(const Subsampling& g) : g_(g) {}

  // One group of `width` channels of one image.
  void forward(const T* x, T* y, int64_t n, int64_t c) const {
    for (int64_t i = 0; i < g_.y.h; ++i) {
      T* to = at(g_.y, y, n, c, i);
      if (c >= g_.x.c) {
        for (int64_t j = 0; j < g_.y.w; ++j) fill(to + j * g_.y.block);
        continue;
      }
      const T* from = at(g_.x, x, n, c, i * g_.stride_h);
      for (int64_t j = 0; j < g_.y.w; ++j) copy(from + j * g_.stride_w * g_.x.block, to + j * g_.y.block);
    }
  }

  void backward(const T* dy, T* dx, int64_t n, int64_t c) const {
    for (int64_t i = 0; i < g_.x.h; ++i) {
      T* to = at(g_.x, dx, n, c, i);
      for (int64_t j = 0; j < g_.x.w; ++j) fill(to + j * g_.x.block);
      if (i % g_.stride_h != 0) continue;
      const T* from = at(g_.y, dy, n, c, i / g_.stride_h);
      for (int64_t j = 0; j < g_.y.w; ++j) copy(from + j * g_.y.block, to + j * g_.stride_w * g_.x.block);
    }
  }

 private:
  template <class Element>
  static Element* at(const Layout& l, Element* p, int64_t n, int64_t c, int64_t i) {
    return p + (n * l.blocks() + c / l.block) * l.plane() + i * l.w * l.block + c % l.block;
  }
  static void copy(const T* from, T* to) { std::memcpy(to, from, width * sizeof(T)); }
  static void fill(T* to) { std::memset(to, 0, width * sizeof(T)); }

  Subsampling g_;
};

template <class T, int64_t width>
Prepared subsample(const Cpu& cpu, const Subsampling& g, bool backward) {
  const int64_t groups = (backward ? g.x.c : g.y.c) / width;
  return prepared("loops", [=, threads = cpu.threads, mover = Mover<T, width>(g)](const Arguments& a) {
    parallel(threads, g.x.n * groups, 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / groups, c = i % groups * width;
        if (backward)
          mover.backward(input<T>(a, 0), output<T>(a, 0), n, c);
        else
          mover.forward(input<T>(a, 0), output<T>(a, 0), n, c);
      }
    });
  });
}

template <class T>
Prepared subsample(const Cpu& cpu, const Subsampling& g, bool backward) {
  const int64_t width = std::min(g.x.block, g.y.block);
  if (width == 16) return subsample<T, 16>(cpu, g, backward);
  if (width == 8) return subsample<T, 8>(cpu, g, backward);
  return subsample<T, 1>(cpu, g, backward);
}

Prepared prepare(const Cpu& cpu, const Subsampling& g, DType dtype, bool backward) {
  return dtype == DType::bfloat16 ? subsample<uint16_t>(cpu, g, backward) : subsample<uint32_t>(cpu, g, backward);
}

}  // namespace

Prepared prepare_subsample_pad(const Cpu& cpu, const Graph& graph, const Node& node) {
  const ValueType& x = input_type(graph, node, 0);
  return prepare(cpu, make_subsampling(cpu, node, x, output_type(graph, node, 0)), x.dtype, false);
}

Prepared prepare_subsample_pad_grad(const Cpu& cpu, const Graph& graph, const Node& node) {
  const ValueType& dy = input_type(graph, node, 0);
  return prepare(cpu, make_subsampling(cpu, node, output_type(graph, node, 0), dy), dy.dtype, true);
}

}  // namespace node_cudnn::cpu
