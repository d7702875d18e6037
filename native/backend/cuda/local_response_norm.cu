#include "backend/cuda/ops.h"
#include "backend/cuda/rows.h"

namespace node_cudnn::cuda {
namespace {

// A pixel's channels are neighbours in memory, and the windows lie along them. A warp reads a few pixels at a time, 16
// bytes to a lane, into lines of shared memory of its own: float32, with zeros on both sides as wide as half a window.
// So every number comes from device memory once, and no window asks where the channels end. Where shared memory is too
// small for the lines, they lie in the workspace.
struct Neighbours {
  int64_t pixels;
  int channels, half;      // a window has 2 half + 1 channels
  int turn, line, margin;  // pixels at a time; floats of a pixel's line and of its zeros on each side
  float share, beta, k;

  constexpr int64_t turns() const { return (pixels + turn - 1) / turn; }
  __device__ float power(float energy) const { return exp2f(-beta * __log2f(energy)); }
  // Of the window around `centre`.
  __device__ float energy(const float* centre) const {
    float squares = 0;
    for (int j = -half; j <= half; ++j) squares += centre[j] * centre[j];
    return k + share * squares;
  }
  __device__ float sum(const float* centre) const {
    float total = 0;
    for (int j = -half; j <= half; ++j) total += centre[j];
    return total;
  }
};

// Where the lines of all warps lie: in the shared memory of their block, or here.
struct Shared {};
struct Workspace {
  float* begin;
};

// The lines of one warp, `kinds` for every pixel of a turn; zeros to begin with.
template <int kinds>
struct Lines {
  const Neighbours& g;
  float* begin;

  __device__ Lines(const Neighbours& given, Shared) : g(given) {
    NODE_CUDNN_DYNAMIC_SHARED(float, shared);
    clear(shared, threadIdx.y);
  }
  __device__ Lines(const Neighbours& given, Workspace workspace) : g(given) {
    clear(workspace.begin, blockIdx.x * blockDim.y + threadIdx.y);
  }
  __device__ void clear(float* all, unsigned warp) {
    const int size = kinds * g.turn * g.line;
    begin = all + int64_t{warp} * size;
    for (int i = static_cast<int>(threadIdx.x); i < size; i += warp_size) begin[i] = 0;
    __syncwarp();
  }
  __device__ float* at(int kind, int pixel) const { return begin + (kind * g.turn + pixel) * g.line + g.margin; }
};

template <int V, class T>
__device__ void read_pixels(const Neighbours& g, int pixels, const T* from, float* lines) {
  for_columns<V>(pixels * g.channels, [&](int i) {
    const int pixel = i / g.channels, channel = i % g.channels;
    const auto values = load<V>(from + i);
    Vector<float, V> wide;
    for (int k = 0; k < V; ++k) wide.at[k] = to_float(values.at[k]);
    store(lines + pixel * g.line + channel, wide);
  });
}

// Calls body(first pixel, how many) for every turn of this warp; what body leaves in the lines ends with it.
template <class Body>
__device__ void for_turns(const Neighbours& g, const Body& body) {
  const int64_t warps = int64_t{gridDim.x} * blockDim.y, warp = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  for (int64_t turn = warp; turn < g.turns(); turn += warps) {
    const int64_t first = turn * g.turn, left = g.pixels - first;
    body(first, left < g.turn ? static_cast<int>(left) : g.turn);
    __syncwarp();
  }
}

// Calls body(pixel, channel, place in the maps) for what falls to this lane.
template <class Body>
__device__ void for_elements(const Neighbours& g, int64_t first, int pixels, const Body& body) {
  for (int pixel = 0; pixel < pixels; ++pixel)
    for_columns<1>(g.channels, [&](int channel) { body(pixel, channel, (first + pixel) * g.channels + channel); });
}

template <int V, class T, class Where>
__global__ void __launch_bounds__(block_threads)
    local_response_norm_kernel(Neighbours g, Where where, const T* x, T* y) {
  const Lines<1> lines(g, where);
  for_turns(g, [&](int64_t first, int pixels) {
    read_pixels<V>(g, pixels, x + first * g.channels, lines.at(0, 0));
    __syncwarp();
    for_elements(g, first, pixels, [&](int pixel, int channel, int64_t place) {
      const float* own = lines.at(0, pixel) + channel;
      y[place] = from_float<T>(*own * g.power(g.energy(own)));
    });
  });
}

// The lines hold x; dy, then dy s^-beta; and dy x s^(-beta - 1), whose windows are summed.
template <int V, class T, class Where>
__global__ void __launch_bounds__(block_threads)
    local_response_norm_grad_kernel(Neighbours g, Where where, const T* dy, const T* x, T* dx) {
  const Lines<3> lines(g, where);
  const float factor = 2 * g.share * g.beta;
  for_turns(g, [&](int64_t first, int pixels) {
    read_pixels<V>(g, pixels, x + first * g.channels, lines.at(0, 0));
    read_pixels<V>(g, pixels, dy + first * g.channels, lines.at(1, 0));
    __syncwarp();
    for_elements(g, first, pixels, [&](int pixel, int channel, int64_t) {
      const float* own = lines.at(0, pixel) + channel;
      const float energy = g.energy(own), direct = lines.at(1, pixel)[channel] * g.power(energy);
      lines.at(1, pixel)[channel] = direct;
      lines.at(2, pixel)[channel] = direct * *own / energy;
    });
    __syncwarp();
    for_elements(g, first, pixels, [&](int pixel, int channel, int64_t place) {
      const float others = lines.at(0, pixel)[channel] * g.sum(lines.at(2, pixel) + channel);
      dx[place] = from_float<T>(lines.at(1, pixel)[channel] - factor * others);
    });
  });
}

constexpr int round4(int count) { return (count + 3) / 4 * 4; }

Neighbours make_neighbours(const Node& node, const ValueType& x) {
  const auto [d, size, alpha, beta, k] = expect_local_response_norm(node, x);
  expect(d.c < (1 << 27), "x has too many channels, " + std::to_string(d.c));  // three lines are counted by an int
  const auto channels = static_cast<int>(d.c);
  // A window that is wider than all channels twice over holds what it holds.
  const auto half = static_cast<int>(std::min(size / 2, int64_t{channels}));
  const int margin = round4(half), turn = std::max(256 / channels, 1);  // work for every lane
  return {d.pixels(),
          channels,
          half,
          turn,
          round4(channels) + 2 * margin,
          margin,
          static_cast<float>(alpha / static_cast<double>(size)),
          static_cast<float>(beta),
          static_cast<float>(k)};
}

// The blocks of a launch. As many warps share one as its shared memory has lines for, `kinds` for every pixel of a
// turn; where it has none for a single warp, a few blocks go through all turns with lines in the workspace.
struct Grid {
  unsigned blocks, warps;
  size_t shared_bytes, workspace_bytes;
};

Grid make_grid(const Cuda& cuda, const Neighbours& g, size_t kinds) {
  constexpr size_t shared = size_t{48} << 10, most = block_threads / warp_size;
  const size_t bytes = kinds * static_cast<size_t>(g.turn) * static_cast<size_t>(g.line) * sizeof(float);
  const auto warps = static_cast<unsigned>(std::clamp<size_t>(shared / bytes, 1, most));
  const unsigned blocks = blocks_for(cuda, g.turns(), warps);
  if (bytes <= shared) return {blocks, warps, warps * bytes, 0};
  const unsigned few = std::min(blocks, 4 * static_cast<unsigned>(cuda.multiprocessors));
  return {few, 1, 0, few * bytes};
}

// launch_kernel(launch_lines, width of a load, where the lines lie, arguments) calls launch_lines(kernel, ...).
template <class T, class LaunchKernel>
Prepared prepare_response(Cuda& cuda, const Neighbours& g, size_t kinds, InPlace in_place, LaunchKernel launch_kernel) {
  const Grid grid = make_grid(cuda, g, kinds);
  const auto launch_lines = [=, &cuda]<class... P, class... A>(void (*kernel)(P...), A... arguments) {
    launch(kernel, grid.blocks, dim3(warp_size, grid.warps), grid.shared_bytes, cuda.stream, g, arguments...);
  };
  if (grid.workspace_bytes > 0) {
    const auto run = [=](const Arguments& a) {
      launch_kernel(launch_lines, std::integral_constant<int, 1>{}, Workspace{static_cast<float*>(a.workspace)}, a);
    };
    return prepared("cuda", run, grid.workspace_bytes, in_place);
  }
  return with_vector<T>(g.channels, [&](auto width) {
    const auto run = [=](const Arguments& a) { launch_kernel(launch_lines, width, Shared{}, a); };
    return prepared("cuda", run, 0, in_place);
  });
}

}  // namespace

Prepared prepare_local_response_norm(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 1);
  const ValueType& x = input_type(graph, node, 0);
  const Neighbours g = make_neighbours(node, x);
  expect_type("y", output_type(graph, node, 0), x);
  return with_float(x.dtype, [&]<class T>(std::type_identity<T>) {
    const auto kernel = [](const auto& launch_lines, auto width, auto where, const Arguments& a) {
      launch_lines(local_response_norm_kernel<width(), T, decltype(where)>, where, input<T>(a, 0), output<T>(a, 0));
    };
    return prepare_response<T>(cuda, g, 1, {{0, 0}}, kernel);
  });
}

Prepared prepare_local_response_norm_grad(Cuda& cuda, const Graph& graph, const Node& node) {
  expect_counts(node, 2, 1);
  const ValueType& dy = input_type(graph, node, 0);
  const Neighbours g = make_neighbours(node, dy);
  expect_type("x", input_type(graph, node, 1), dy);
  expect_type("dx", output_type(graph, node, 0), dy);
  return with_float(dy.dtype, [&]<class T>(std::type_identity<T>) {
    const auto kernel = [](const auto& launch_lines, auto width, auto where, const Arguments& a) {
      launch_lines(local_response_norm_grad_kernel<width(), T, decltype(where)>, where, input<T>(a, 0), input<T>(a, 1),
                   output<T>(a, 0));
    };
    return prepare_response<T>(cuda, g, 3, {{0, 0}, {0, 1}}, kernel);
  });
}

}  // namespace node_cudnn::cuda
