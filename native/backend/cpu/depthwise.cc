#include "backend/cpu/depthwise.h"

#include "backend/common/window.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/simd/depthwise.h"

namespace node_cudnn::cpu {
namespace {

const simd::DepthwiseKernels& kernels(const Cpu& cpu, DType dtype) {
  const bool half = dtype == DType::bfloat16;
  switch (cpu.isa) {
#if defined(__x86_64__) || defined(_M_X64)
    case Isa::avx512:
      return half ? simd::avx512::depthwise_bfloat16 : simd::avx512::depthwise_float32;
    case Isa::avx2:
      return half ? simd::avx2::depthwise_bfloat16 : simd::avx2::depthwise_float32;
#endif
    default:
      return half ? simd::generic::depthwise_bfloat16 : simd::generic::depthwise_float32;
  }
}

bool is_depthwise(const Cpu& cpu, const Node& node, const ValueType& x, const ValueType& w) {
  return node.attributes.integer("groups") == x.shape[1] && w.shape[0] % cpu.block == 0 &&
         w.shape[2] <= simd::most_kernel_rows;
}

simd::Depthwise describe(const Cpu& cpu, const Node& node, const ValueType& x, const ValueType& w, const ValueType& y) {
  const auto [h, v] = make_window(node, x, y, w.shape[2], w.shape[3]);
  const Layout in = activation_layout(cpu, x.shape), out = activation_layout(cpu, y.shape);
  return {in.n,     in.c,     out.c,    out.c / in.c, in.block,   in.h,       in.w,     out.h,   out.w,
          h.kernel, v.kernel, h.stride, v.stride,     h.dilation, v.dilation, h.before, v.before};
}

std::string name(const Cpu& cpu) { return "depthwise_" + simd_name(cpu); }

// The workspace: a block of floats that all threads share, then one of each thread's own.
struct Workspace {
  int64_t shared, own;
  size_t bytes(int threads) const { return static_cast<size_t>(shared + threads * own) * sizeof(float); }
  float* scratch(const Arguments& a) const {
    return static_cast<float*>(a.workspace) + shared + omp_get_thread_num() * own;
  }
};

int64_t packed_floats(const simd::Depthwise& d) { return d.outputs * d.kernel_h * d.kernel_w; }

}  // namespace

Prepared depthwise_conv2d(const Cpu& cpu, const Graph& graph, const Node& node) {
  const ValueType &x = input_type(graph, node, 0), &w = input_type(graph, node, 1);
  if (!is_depthwise(cpu, node, x, w) || w.shape[0] == x.shape[1]) return {};
  const simd::Depthwise d = describe(cpu, node, x, w, output_type(graph, node, 0));
  const bool biased = node.inputs.size() == 3;
  const simd::DepthwiseKernels& k = kernels(cpu, x.dtype);
  const Workspace space = {packed_floats(d), k.scratch_floats(d)};
  const auto run = [=, &k, threads = cpu.threads](const Arguments& a) {
    auto* packed = static_cast<float*>(a.workspace);
    k.pack(d, a.inputs[1], packed);
    parallel(threads, d.n * d.outputs / cpu.block * d.out_h, threads, [&](int64_t begin, int64_t end) {
      k.forward(d, a.inputs[0], packed, biased ? input<float>(a, 2) : nullptr, a.outputs[0], space.scratch(a), begin,
                end);
    });
  };
  return prepared(name(cpu), run, space.bytes(cpu.threads));
}

Prepared depthwise_conv2d_dgrad(const Cpu& cpu, const Graph& graph, const Node& node) {
  const ValueType &w = input_type(graph, node, 1), &dx = output_type(graph, node, 0);
  if (!is_depthwise(cpu, node, dx, w) || w.shape[0] == dx.shape[1]) return {};
  const simd::Depthwise d = describe(cpu, node, dx, w, input_type(graph, node, 0));
  const simd::DepthwiseKernels& k = kernels(cpu, dx.dtype);
  const Workspace space = {packed_floats(d), k.scratch_floats(d)};
  const auto run = [=, &k, threads = cpu.threads](const Arguments& a) {
    auto* packed = static_cast<float*>(a.workspace);
    k.pack(d, a.inputs[1], packed);
    parallel(threads, d.n * d.in_h, threads, [&](int64_t begin, int64_t end) {
      k.data_gradient(d, a.inputs[0], packed, a.outputs[0], space.scratch(a), begin, end);
    });
  };
  return prepared(name(cpu), run, space.bytes(cpu.threads));
}

Prepared depthwise_conv2d_wgrad(const Cpu& cpu, const Graph& graph, const Node& node) {
  constexpr int64_t most_taps = 9;  // that oneDNN's weight gradient of multiplier 1 is optimised for
  const ValueType &x = input_type(graph, node, 0), &dw = output_type(graph, node, 0);
  const bool served = dw.shape[0] == x.shape[1] && dw.shape[2] * dw.shape[3] <= most_taps;
  if (!is_depthwise(cpu, node, x, dw) || served) return {};
  const simd::Depthwise d = describe(cpu, node, x, dw, input_type(graph, node, 1));
  const simd::DepthwiseKernels& k = kernels(cpu, x.dtype);
  const int64_t blocks = d.outputs / cpu.block;
  const Workspace space = {d.n * packed_floats(d), k.scratch_floats(d)};
  const auto run = [=, &k, threads = cpu.threads](const Arguments& a) {
    auto* parts = static_cast<float*>(a.workspace);
    parallel(threads, d.n * blocks, 2, [&](int64_t begin, int64_t end) {
      k.weight_gradient(d, a.inputs[0], a.inputs[1], parts, space.scratch(a), begin, end);
    });
    parallel(threads, blocks, 64,
             [&](int64_t begin, int64_t end) { k.add_parts(d, parts, output<float>(a, 0), begin, end); });
  };
  return prepared(name(cpu), run, space.bytes(cpu.threads));
}

}  // namespace node_cudnn::cpu
