// Pooling and its gradients as plain loops: the results are defined to the last index (docs/ops.md), also for dilated
// windows and for windows over the padded edge, which oneDNN's pooling does not serve. Memory bounds the speed of the
// vectors (simd/pool.h) that serve whole channel blocks; the loops here serve the rest.
//
// Every kernel has one form: a target pixel collects from the source pixels that share a window with it.
// Forward the target is the output and the source the input; in the gradients it is the other way round.
#include "backend/cpu/simd/pool.h"

#include <array>
#include <limits>

#include "backend/cpu/kernel.h"
#include "backend/cpu/meetings.h"
#include "backend/cpu/ops.h"
#include "backend/cpu/slices.h"
#include "program/bfloat16.h"

namespace node_cudnn::cpu {

namespace {

struct Pooling {
  Layout source, target;
  int64_t kernel_w;
  Meetings rows, columns;
  Gaps gaps;

  int64_t image_rows() const { return target.blocks() * target.h; }
  int64_t target_rows() const { return target.n * image_rows(); }
  simd::Pooling view() const { return {source.h, source.w, target.h, target.w, kernel_w, rows.view(), columns.view()}; }
};

// `meetings`: forward_meetings, or backward_meetings in a gradient.
Pooling make_pooling(const Cpu& cpu, const Graph& graph, const Node& node, const Window& window,
                     Meetings (*meetings)(const Axis&)) {
  return {activation_layout(cpu, input_type(graph, node, 0).shape),
          activation_layout(cpu, output_type(graph, node, 0).shape),
          window.w.kernel,
          meetings(window.h),
          meetings(window.w),
          Gaps(graph, node)};
}

// Shares the rows of the target among threads: kernel(arguments, begin, end).
template <class Kernel>
void over_rows(int threads, const Pooling& p, const Arguments& arguments, const Kernel& kernel) {
  parallel(threads, p.target_rows(), threads,
           [&](int64_t begin, int64_t end) { p.gaps.for_each_image(arguments, begin, end, p.image_rows(), kernel); });
}

// A collector has begin(), collect(source offset, source row, source column, tap), end(target offset, row, column).
template <class Collector>
void collect(const Pooling& p, Collector collector, int64_t begin, int64_t end) {
  const int64_t block = p.source.block;
  for (int64_t r = begin; r < end; ++r) {
    const int64_t plane = r / p.target.h, row = r % p.target.h;
    for (int64_t i = 0; i < p.target.w * block; ++i) {
      const int64_t column = i / block, channel = i % block;
      collector.begin();
      for (const Meeting* v = p.rows.begin(row); v != p.rows.end(row); ++v)
        for (const Meeting* h = p.columns.begin(column); h != p.columns.end(column); ++h)
          collector.collect(((plane * p.source.h + v->position) * p.source.w + h->position) * block + channel,
                            v->position, h->position, v->tap * p.kernel_w + h->tap);
      collector.end(r * p.target.w * block + i, row, column);
    }
  }
}

// The first maximum; a NaN counts as the maximum, so that it is not lost.
template <class T, class I>
struct Maximum {
  const T* x;
  T* y;
  I* index;
  float best = 0;
  int64_t best_tap = -1;

  void begin() {
    best = -std::numeric_limits<float>::infinity();
    best_tap = -1;
  }
  void collect(int64_t offset, int64_t, int64_t, int64_t tap) {
    const float value = static_cast<float>(x[offset]), old = best;
    if (best_tap >= 0 && !(!(value <= old) & (old == old))) return;
    best = value;
    best_tap = tap;
  }
  void end(int64_t offset, int64_t, int64_t) {
    y[offset] = static_cast<T>(best);
    index[offset] = static_cast<I>(best_tap < 0 ? 0 : best_tap);
  }
};

template <class T, class I>
struct MaximumGradient {
  const T* dy;
  const I* index;
  T* dx;
  float sum = 0;

  void begin() { sum = 0; }
  void collect(int64_t offset, int64_t, int64_t, int64_t tap) {
    if (int64_t{index[offset]} == tap) sum += static_cast<float>(dy[offset]);
  }
  void end(int64_t offset, int64_t, int64_t) { dx[offset] = static_cast<T>(sum); }
};

// One over the number of pixels that each output's window counts along one axis.
std::vector<float> window_shares(const Axis& axis, bool count_padding) {
  std::vector<float> shares;
  for (int64_t o = 0; o < axis.out; ++o) {
    float count = 0;
    for (int64_t k = 0; k < axis.kernel; ++k) {
      const int64_t position = axis.position(o, k);
      if (count_padding ? axis.inside_padded(position) : axis.inside(position)) ++count;
    }
    shares.push_back(1 / std::max(count, 1.0F));  // a window without any pixel has the sum 0
  }
  return shares;
}

struct Shares {
  std::vector<float> rows, columns;
  float at(int64_t row, int64_t column) const {
    return rows[static_cast<size_t>(row)] * columns[static_cast<size_t>(column)];
  }
  simd::Shares view() const { return {rows.data(), columns.data()}; }
};

template <class T>
struct Average {
  const T* x;
  T* y;
  const Shares& shares;
  float sum = 0;

  void begin() { sum = 0; }
  void collect(int64_t offset, int64_t, int64_t, int64_t) { sum += static_cast<float>(x[offset]); }
  void end(int64_t offset, int64_t row, int64_t column) { y[offset] = static_cast<T>(sum * shares.at(row, column)); }
};

template <class T>
struct AverageGradient {
  const T* dy;
  T* dx;
  const Shares& shares;
  float sum = 0;

  void begin() { sum = 0; }
  void collect(int64_t offset, int64_t row, int64_t column, int64_t) {
    sum += static_cast<float>(dy[offset]) * shares.at(row, column);
  }
  void end(int64_t offset, int64_t, int64_t) { dx[offset] = static_cast<T>(sum); }
};

// Calls f with the storage type and the block size of an activation as template arguments.
template <class Function>
Prepared with_block(int64_t block, Function&& f) {
  if (block == 16) return f(std::integral_constant<int64_t, 16>{});
  if (block == 8) return f(std::integral_constant<int64_t, 8>{});
  return f(std::integral_constant<int64_t, 1>{});
}

template <class Function>
Prepared with_storage(const ValueType& type, int64_t block, Function&& f) {
  return with_block(block, [&](auto b) {
    if (type.dtype == DType::bfloat16) return f(std::type_identity<bfloat16>{}, b);
    return f(std::type_identity<float>{}, b);
  });
}

Shares shares_of(const Node& node, const Window& window) {
  const bool count_padding = node.attributes.flag("count_include_pad");
  return {window_shares(window.h, count_padding), window_shares(window.w, count_padding)};
}

const simd::PoolKernels& vectors(const Cpu& cpu, DType dtype) {
  const bool half = dtype == DType::bfloat16;
  switch (cpu.isa) {
#if defined(__x86_64__) || defined(_M_X64)
    case Isa::avx512:
      return half ? simd::avx512::pool_bfloat16 : simd::avx512::pool_float32;
    case Isa::avx2:
      return half ? simd::avx2::pool_bfloat16 : simd::avx2::pool_float32;
#endif
    default:
      return half ? simd::generic::pool_bfloat16 : simd::generic::pool_float32;
  }
}

// `kernel` takes the view of p and a range of rows.
template <class Kernel>
Prepared by_rows(const Cpu& cpu, const Pooling& p, const Kernel& kernel) {
  return prepared(simd_name(cpu), [p, kernel, threads = cpu.threads](const Arguments& arguments) {
    over_rows(threads, p, arguments,
              [&](const Arguments& a, int64_t begin, int64_t end) { kernel(a, p.view(), begin, end); });
  });
}

constexpr const char* implementation = "loops";

// make(arguments) makes a collector.
template <class Make>
Prepared by_loops(const Cpu& cpu, const Pooling& p, const Make& make) {
  return prepared(implementation, [p, make, threads = cpu.threads](const Arguments& arguments) {
    over_rows(threads, p, arguments,
              [&](const Arguments& a, int64_t begin, int64_t end) { collect(p, make(a), begin, end); });
  });
}

template <class Function>
Prepared with_type(DType dtype, Function&& f) {
  return dtype == DType::bfloat16 ? f(std::type_identity<bfloat16>{}) : f(std::type_identity<float>{});
}

template <class T, int64_t B>
void global_average(const T* x, T* y, int64_t pixels) {
  std::array<float, B> sum = {};
  for (int64_t i = 0; i < pixels; ++i) {
#pragma omp simd
    for (int64_t b = 0; b < B; ++b) sum[b] += static_cast<float>(x[i * B + b]);
  }
  for (int64_t b = 0; b < B; ++b) y[b] = static_cast<T>(sum[b] / static_cast<float>(pixels));
}

template <class T, int64_t B>
void global_shares(const T* dy, T* dx, int64_t pixels) {
  std::array<T, B> share;
  for (int64_t b = 0; b < B; ++b) share[b] = static_cast<T>(static_cast<float>(dy[b]) / static_cast<float>(pixels));
  for (int64_t i = 0; i < pixels; ++i)
    for (int64_t b = 0; b < B; ++b) dx[i * B + b] = share[b];
}

}  // namespace

Prepared prepare_max_pool2d(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 2);
  const ValueType &x = input_type(graph, node, 0), &y = output_type(graph, node, 0);
  const Window window = expect_pooling(node, x, y);
  const Pooling p = make_pooling(cpu, graph, node, window, forward_meetings);
  return with_index(window, output_type(graph, node, 1), y, [&]<class I>(std::type_identity<I>) {
    if (p.source.block > 1 && std::is_same_v<I, uint8_t>)
      return by_rows(
          cpu, p,
          [max = vectors(cpu, x.dtype).max](const Arguments& a, const simd::Pooling& view, int64_t begin, int64_t end) {
            max(view, a.inputs[0], a.outputs[0], output<uint8_t>(a, 1), begin, end);
          });
    return with_type(x.dtype, [&]<class T>(std::type_identity<T>) {
      return by_loops(cpu, p, [](const Arguments& a) {
        return Maximum<T, I>{input<T>(a, 0), output<T>(a, 0), output<I>(a, 1)};
      });
    });
  });
}

Prepared prepare_max_pool2d_grad(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType &dy = input_type(graph, node, 0), &dx = output_type(graph, node, 0);
  const Window window = expect_pooling(node, dx, dy);
  const Pooling p = make_pooling(cpu, graph, node, window, backward_meetings);
  return with_index(window, input_type(graph, node, 1), dy, [&]<class I>(std::type_identity<I>) {
    if (p.source.block > 1 && std::is_same_v<I, uint8_t>)
      return by_rows(cpu, p,
                     [max_grad = vectors(cpu, dy.dtype).max_grad](const Arguments& a, const simd::Pooling& view,
                                                                  int64_t begin, int64_t end) {
                       max_grad(view, a.inputs[0], input<uint8_t>(a, 1), a.outputs[0], begin, end);
                     });
    return with_type(dy.dtype, [&]<class T>(std::type_identity<T>) {
      return by_loops(cpu, p, [](const Arguments& a) {
        return MaximumGradient<T, I>{input<T>(a, 0), input<I>(a, 1), output<T>(a, 0)};
      });
    });
  });
}

Prepared prepare_avg_pool2d(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 1);
  const ValueType &x = input_type(graph, node, 0), &y = output_type(graph, node, 0);
  const Window window = expect_pooling(node, x, y);
  const Pooling p = make_pooling(cpu, graph, node, window, forward_meetings);
  const Shares shares = shares_of(node, window);
  if (p.source.block > 1)
    return by_rows(cpu, p,
                   [shares, average = vectors(cpu, x.dtype).average](const Arguments& a, const simd::Pooling& view,
                                                                     int64_t begin, int64_t end) {
                     average(view, shares.view(), a.inputs[0], a.outputs[0], begin, end);
                   });
  return with_type(x.dtype, [&]<class T>(std::type_identity<T>) {
    return by_loops(cpu, p, [shares](const Arguments& a) {
      return Average<T>{input<T>(a, 0), output<T>(a, 0), shares};
    });
  });
}

Prepared prepare_avg_pool2d_grad(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 1);
  const ValueType &dy = input_type(graph, node, 0), &dx = output_type(graph, node, 0);
  const Window window = expect_pooling(node, dx, dy);
  const Pooling p = make_pooling(cpu, graph, node, window, backward_meetings);
  const Shares shares = shares_of(node, window);
  if (p.source.block > 1)
    return by_rows(cpu, p,
                   [shares, average_grad = vectors(cpu, dy.dtype).average_grad](
                       const Arguments& a, const simd::Pooling& view, int64_t begin, int64_t end) {
                     average_grad(view, shares.view(), a.inputs[0], a.outputs[0], begin, end);
                   });
  return with_type(dy.dtype, [&]<class T>(std::type_identity<T>) {
    return by_loops(cpu, p, [shares](const Arguments& a) {
      return AverageGradient<T>{input<T>(a, 0), output<T>(a, 0), shares};
    });
  });
}

Prepared prepare_global_avg_pool(const Cpu& cpu, const Graph& graph, const Node& node) {
  const ValueType& x = input_type(graph, node, 0);
  expect_global_pooling(node, x, output_type(graph, node, 0));
  const Layout in = activation_layout(cpu, x.shape);
  return with_storage(x, in.block, [&]<class T, int64_t B>(std::type_identity<T>, std::integral_constant<int64_t, B>) {
    return prepared(implementation, [in, threads = cpu.threads](const Arguments& a) {
      parallel(threads, in.n * in.blocks(), threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          global_average<T, B>(input<T>(a, 0) + i * in.plane(), output<T>(a, 0) + i * B, in.h * in.w);
      });
    });
  });
}

Prepared prepare_global_avg_pool_grad(const Cpu& cpu, const Graph& graph, const Node& node) {
  const ValueType& dx = output_type(graph, node, 0);
  expect_global_pooling(node, dx, input_type(graph, node, 0));
  const Layout in = activation_layout(cpu, dx.shape);
  return with_storage(dx, in.block, [&]<class T, int64_t B>(std::type_identity<T>, std::integral_constant<int64_t, B>) {
    return prepared(implementation, [in, threads = cpu.threads](const Arguments& a) {
      parallel(threads, in.n * in.blocks(), threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          global_shares<T, B>(input<T>(a, 0) + i * B, output<T>(a, 0) + i * in.plane(), in.h * in.w);
      });
    });
  });
}

}  // namespace node_cudnn::cpu
