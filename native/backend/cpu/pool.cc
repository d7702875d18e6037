// Pooling and its gradients as plain loops: the results are defined to the last index (docs/ops.md), also for dilated
// windows and for windows over the padded edge, which oneDNN's pooling does not serve. Memory bounds the speed.
//
// Every kernel has one form: a target pixel collects from the source pixels that share a window with it.
// Forward the target is the output and the source the input; in the gradients it is the other way round.
#include <array>
#include <limits>

#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"
#include "backend/cpu/window.h"
#include "program/bfloat16.h"

namespace node_cudnn::cpu {

namespace {

struct Meeting {
  int64_t tap, position;  // position in the source
};

// For every target position of one axis its meetings, in the order of the taps.
struct Meetings {
  std::vector<Meeting> list;
  std::vector<size_t> first;  // per target position, and the end

  explicit Meetings(size_t targets) : first(targets + 1, 0) {}
  int64_t targets() const { return static_cast<int64_t>(first.size()) - 1; }
  const Meeting* begin(int64_t target) const { return list.data() + first[static_cast<size_t>(target)]; }
  const Meeting* end(int64_t target) const { return list.data() + first[static_cast<size_t>(target) + 1]; }
};

Meetings forward_meetings(const Axis& axis) {
  Meetings meetings(static_cast<size_t>(axis.out));
  for (int64_t o = 0; o < axis.out; ++o) {
    for (int64_t k = 0; k < axis.kernel; ++k)
      if (axis.inside(axis.position(o, k))) meetings.list.push_back({k, axis.position(o, k)});
    meetings.first[static_cast<size_t>(o) + 1] = meetings.list.size();
  }
  return meetings;
}

Meetings backward_meetings(const Axis& axis) {
  Meetings meetings(static_cast<size_t>(axis.in));
  for (int64_t i = 0; i < axis.in; ++i) {
    for (int64_t k = 0; k < axis.kernel; ++k) {
      const int64_t offset = i + axis.before - k * axis.dilation;
      if (offset >= 0 && offset % axis.stride == 0 && offset / axis.stride < axis.out)
        meetings.list.push_back({k, offset / axis.stride});
    }
    meetings.first[static_cast<size_t>(i) + 1] = meetings.list.size();
  }
  return meetings;
}

struct Pooling {
  Layout source, target;
  int64_t kernel_w;
  Meetings rows, columns;
};

Pooling forward_pooling(const Layout& x, const Layout& y, const Window& window) {
  return {x, y, window.w.kernel, forward_meetings(window.h), forward_meetings(window.w)};
}

Pooling backward_pooling(const Layout& dx, const Layout& dy, const Window& window) {
  return {dy, dx, window.w.kernel, backward_meetings(window.h), backward_meetings(window.w)};
}

// Collector<T, B>: begin(), collect(source offset, source row, source column, tap), end(target offset), for B channels.
template <int64_t B, class Make>
void collect(int threads, const Pooling& p, const Make& make) {
  const int64_t rows = p.target.n * p.target.blocks() * p.target.h;
  parallel(threads, rows, threads, [&](int64_t begin, int64_t end) {
    auto collector = make();
    for (int64_t r = begin; r < end; ++r) {
      const int64_t plane = r / p.target.h, row = r % p.target.h;
      for (int64_t column = 0; column < p.target.w; ++column) {
        collector.begin();
        for (const Meeting* i = p.rows.begin(row); i != p.rows.end(row); ++i)
          for (const Meeting* j = p.columns.begin(column); j != p.columns.end(column); ++j)
            collector.collect(((plane * p.source.h + i->position) * p.source.w + j->position) * B, i->position,
                              j->position, i->tap * p.kernel_w + j->tap);
        collector.end((r * p.target.w + column) * B);
      }
    }
  });
}

// The first maximum; a NaN counts as the maximum, so that it is not lost.
template <class T, class I, int64_t B>
struct Maximum {
  const T* x;
  T* y;
  I* index;
  std::array<float, B> best = {};
  std::array<int32_t, B> taps = {};
  bool empty = true;

  void begin() {
    best.fill(-std::numeric_limits<float>::infinity());
    taps.fill(0);
    empty = true;
  }
  void collect(int64_t offset, int64_t, int64_t, int64_t tap) {
    if (empty) taps.fill(static_cast<int32_t>(tap));
    empty = false;
#pragma omp simd
    for (int64_t b = 0; b < B; ++b) {
      const float value = static_cast<float>(x[offset + b]), old = best[b];
      const bool take = !(value <= old) & (old == old);
      best[b] = take ? value : old;
      taps[b] = take ? static_cast<int32_t>(tap) : taps[b];
    }
  }
  void end(int64_t offset) {
    for (int64_t b = 0; b < B; ++b) {
      y[offset + b] = static_cast<T>(best[b]);
      index[offset + b] = static_cast<I>(taps[b]);
    }
  }
};

template <class T, class I, int64_t B>
struct MaximumGradient {
  const T* dy;
  const I* index;
  T* dx;
  std::array<float, B> sum = {};

  void begin() { sum.fill(0); }
  void collect(int64_t offset, int64_t, int64_t, int64_t tap) {
#pragma omp simd
    for (int64_t b = 0; b < B; ++b)
      sum[b] += int64_t{index[offset + b]} == tap ? static_cast<float>(dy[offset + b]) : 0.0F;
  }
  void end(int64_t offset) {
    for (int64_t b = 0; b < B; ++b) dx[offset + b] = static_cast<T>(sum[b]);
  }
};

// How many pixels each output's window counts along one axis.
std::vector<float> window_counts(const Axis& axis, bool count_padding) {
  std::vector<float> counts(static_cast<size_t>(axis.out), 0);
  for (int64_t o = 0; o < axis.out; ++o) {
    float& count = counts[static_cast<size_t>(o)];
    for (int64_t k = 0; k < axis.kernel; ++k) {
      const int64_t position = axis.position(o, k);
      if (count_padding ? axis.inside_padded(position) : axis.inside(position)) ++count;
    }
    count = std::max(count, 1.0F);  // a window without any pixel has the sum 0
  }
  return counts;
}

struct Divisors {
  std::vector<float> rows, columns;
  float at(int64_t row, int64_t column) const {
    return rows[static_cast<size_t>(row)] * columns[static_cast<size_t>(column)];
  }
};

template <class T, int64_t B>
struct Sum {
  const T* x;
  T* y;
  const Divisors& divisors;
  int64_t height, width;
  std::array<float, B> sum = {};

  void begin() { sum.fill(0); }
  void collect(int64_t offset, int64_t, int64_t, int64_t) {
#pragma omp simd
    for (int64_t b = 0; b < B; ++b) sum[b] += static_cast<float>(x[offset + b]);
  }
  void end(int64_t offset) {
    const int64_t pixel = offset / B;
    const float divisor = divisors.at(pixel / width % height, pixel % width);
    for (int64_t b = 0; b < B; ++b) y[offset + b] = static_cast<T>(sum[b] / divisor);
  }
};

template <class T, int64_t B>
struct Shares {
  const T* dy;
  T* dx;
  const Divisors& divisors;
  std::array<float, B> sum = {};

  void begin() { sum.fill(0); }
  void collect(int64_t offset, int64_t row, int64_t column, int64_t) {
    const float divisor = divisors.at(row, column);
#pragma omp simd
    for (int64_t b = 0; b < B; ++b) sum[b] += static_cast<float>(dy[offset + b]) / divisor;
  }
  void end(int64_t offset) {
    for (int64_t b = 0; b < B; ++b) dx[offset + b] = static_cast<T>(sum[b]);
  }
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

// The last window may run over the padded edge (ceil mode), but must start before the far padding.
void expect_output_size(const std::string& axis, const Axis& a) {
  expect(a.before < a.extent() && a.after < a.extent(),
         "padding of the " + axis + " must be smaller than the dilated kernel's " + std::to_string(a.extent()));
  const int64_t whole = a.whole_windows(), last_start = (a.out - 1) * a.stride;
  const bool ceiling = a.out == whole + 1 && last_start < a.slack() + a.stride && last_start < a.in + a.before;
  expect(a.out == whole || ceiling, "output " + axis + " is " + std::to_string(a.out) + ", must be " +
                                        std::to_string(whole) + ", or one more where ceil mode allows it");
}

Window pooling_window(const Cpu& cpu, const Node& node, const ValueType& x, const ValueType& y) {
  const Layout in = expect_activation(cpu, "x", x), out = expect_activation(cpu, "y", y);
  expect(in.n == out.n && in.c == out.c && x.dtype == y.dtype,
         "batch size, channels and dtype of x and y must be equal");
  const Shape kernel = node.attributes.integers("kernel");
  expect(kernel.size() == 2 && kernel[0] > 0 && kernel[1] > 0, "attribute kernel must hold 2 positive integers");
  const Window window = make_window(node, x, y, kernel[0], kernel[1]);
  expect_output_size("height", window.h);
  expect_output_size("width", window.w);
  return window;
}

template <class Function>
Prepared with_index(const Window& window, const ValueType& index, const ValueType& y, Function&& f) {
  const bool small = window.h.kernel <= 256 / window.w.kernel;
  expect_type("index", index, {small ? DType::uint8 : DType::int32, Format::activation, y.shape});
  if (small) return f(std::type_identity<uint8_t>{});
  return f(std::type_identity<int32_t>{});
}

Divisors divisors_of(const Node& node, const Window& window) {
  const bool count_padding = node.attributes.flag("count_include_pad");
  return {window_counts(window.h, count_padding), window_counts(window.w, count_padding)};
}

Layout expect_global(const Cpu& cpu, const Node& node, const ValueType& x, const ValueType& y) {
  expect_counts(node, 1, 1);
  const Layout layout = expect_activation(cpu, "x", x);
  expect_type("y", y, plain(x.dtype, {layout.n, layout.c}));
  return layout;
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

constexpr const char* implementation = "loops";

}  // namespace

Prepared prepare_max_pool2d(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 2);
  const ValueType &x = input_type(graph, node, 0), &y = output_type(graph, node, 0);
  const Window window = pooling_window(cpu, node, x, y);
  Pooling p = forward_pooling(activation_layout(cpu, x.shape), activation_layout(cpu, y.shape), window);
  return with_index(window, output_type(graph, node, 1), y, [&]<class I>(std::type_identity<I>) {
    return with_storage(
        x, p.source.block, [&]<class T, int64_t B>(std::type_identity<T>, std::integral_constant<int64_t, B>) {
          return prepared(implementation, [p, threads = cpu.threads](const Arguments& a) {
            collect<B>(threads, p, [&] { return Maximum<T, I, B>{input<T>(a, 0), output<T>(a, 0), output<I>(a, 1)}; });
          });
        });
  });
}

Prepared prepare_max_pool2d_grad(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType &dy = input_type(graph, node, 0), &dx = output_type(graph, node, 0);
  const Window window = pooling_window(cpu, node, dx, dy);
  Pooling p = backward_pooling(activation_layout(cpu, dx.shape), activation_layout(cpu, dy.shape), window);
  return with_index(window, input_type(graph, node, 1), dy, [&]<class I>(std::type_identity<I>) {
    return with_storage(dx, p.source.block,
                        [&]<class T, int64_t B>(std::type_identity<T>, std::integral_constant<int64_t, B>) {
                          return prepared(implementation, [p, threads = cpu.threads](const Arguments& a) {
                            collect<B>(threads, p, [&] {
                              return MaximumGradient<T, I, B>{input<T>(a, 0), input<I>(a, 1), output<T>(a, 0)};
                            });
                          });
                        });
  });
}

Prepared prepare_avg_pool2d(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 1);
  const ValueType &x = input_type(graph, node, 0), &y = output_type(graph, node, 0);
  const Window window = pooling_window(cpu, node, x, y);
  Pooling p = forward_pooling(activation_layout(cpu, x.shape), activation_layout(cpu, y.shape), window);
  return with_storage(
      x, p.source.block, [&]<class T, int64_t B>(std::type_identity<T>, std::integral_constant<int64_t, B>) {
        return prepared(implementation,
                        [p, divisors = divisors_of(node, window), threads = cpu.threads](const Arguments& a) {
                          collect<B>(threads, p, [&] {
                            return Sum<T, B>{input<T>(a, 0), output<T>(a, 0), divisors, p.target.h, p.target.w};
                          });
                        });
      });
}

Prepared prepare_avg_pool2d_grad(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 1);
  const ValueType &dy = input_type(graph, node, 0), &dx = output_type(graph, node, 0);
  const Window window = pooling_window(cpu, node, dx, dy);
  Pooling p = backward_pooling(activation_layout(cpu, dx.shape), activation_layout(cpu, dy.shape), window);
  return with_storage(
      dx, p.source.block, [&]<class T, int64_t B>(std::type_identity<T>, std::integral_constant<int64_t, B>) {
        return prepared(
            implementation, [p, divisors = divisors_of(node, window), threads = cpu.threads](const Arguments& a) {
              collect<B>(threads, p, [&] { return Shares<T, B>{input<T>(a, 0), output<T>(a, 0), divisors}; });
            });
      });
}

Prepared prepare_global_avg_pool(const Cpu& cpu, const Graph& graph, const Node& node) {
  const ValueType& x = input_type(graph, node, 0);
  const Layout in = expect_global(cpu, node, x, output_type(graph, node, 0));
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
  const Layout in = expect_global(cpu, node, dx, input_type(graph, node, 0));
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
