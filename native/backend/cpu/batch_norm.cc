// Batch normalisation, its tails with ReLU and residual addition, and their gradients. Sums are taken over pieces
// (simd/simd.h), combined in double per channel, turned into a few coefficients per channel, and applied in one pass.
#include <cmath>

#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"
#include "backend/cpu/pieces.h"
#include "backend/cpu/slices.h"

namespace node_cudnn::cpu {
namespace {

// y = scale x + shift. Forward and backward get the same bits, so that a recomputed ReLU mask is the mask applied.
struct Affine {
  float scale, shift;
};

Affine affine(float weight, float bias, float mean, float invstd) {
  const auto scale = static_cast<float>(double{weight} * double{invstd});
  return {scale, static_cast<float>(double{bias} - double{mean} * double{scale})};
}

// One op on one shape.
class Site {
 public:
  Site(const Cpu& cpu, const Graph& graph, const Node& node, const ValueType& x)
      : layout_(expect_activation(cpu, "x", x)),
        gaps_(graph, node),
        pieces_(pieces_of(layout_, gap_of(graph, node.inputs.at(0)))),
        threads_(cpu.threads),
        total_(count(pieces_)),
        kernels_(&simd::batch_norm(cpu.isa, x.dtype)) {}

  const simd::BatchNormKernels& kernels() const { return *kernels_; }
  const simd::Pieces& pieces() const { return pieces_; }
  const simd::Planes& planes() const { return pieces_.planes; }
  int64_t channels() const { return layout_.c; }
  double values() const { return static_cast<double>(layout_.n * layout_.h * layout_.w); }  // per channel

  // The workspace: `arrays` per-channel arrays of float, and two doubles per piece and channel.
  size_t workspace(size_t arrays) const {
    return array_bytes() * arrays + static_cast<size_t>(total_ * 2 * layout_.block) * sizeof(double);
  }
  float* array(const Arguments& a, size_t i) const {
    return reinterpret_cast<float*>(static_cast<char*>(a.workspace) + i * array_bytes());
  }
  double* partial(const Arguments& a, size_t arrays) const { return reinterpret_cast<double*>(array(a, arrays)); }

  template <class Body>
  void over_pieces(const Body& body) const {
    parallel(threads_, total_, 2, body);
  }
  template <class Body>
  void over_planes(const Arguments& a, const Body& body) const {
    parallel(threads_, layout_.n * layout_.blocks(), 2,
             [&](int64_t begin, int64_t end) { gaps_.for_each_image(a, begin, end, layout_.blocks(), body); });
  }
  template <class Body>
  void over_blocks(const Body& body) const {  // little work, unless there are many partial sums
    constexpr int64_t least_sums = 65536;
    const int64_t sums_per_block = total_ * layout_.block / layout_.blocks();
    parallel(threads_, layout_.blocks(), least_sums / sums_per_block + 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) body(b);
    });
  }

 private:
  size_t array_bytes() const { return (static_cast<size_t>(layout_.c) * sizeof(float) + 63) / 64 * 64; }

  Layout layout_;
  Gaps gaps_;
  simd::Pieces pieces_;
  int threads_;
  int64_t total_;
  const simd::BatchNormKernels* kernels_;
};

// Per channel of one block.
struct BlockSums {
  double first[max_block] = {}, second[max_block] = {};
};

BlockSums add_up(const simd::Pieces& pieces, const double* partial, int64_t block) {
  const int64_t width = pieces.planes.block;
  BlockSums sums;
  for_each_piece(pieces, block, [&](int64_t index, int64_t) {
    const double* piece = partial + index * 2 * width;
    for (int64_t i = 0; i < width; ++i) sums.first[i] += piece[i];
    for (int64_t i = 0; i < width; ++i) sums.second[i] += piece[width + i];
  });
  return sums;
}

// Mean and biased variance from the means and squared deviations of the pieces.
BlockSums combine_moments(const simd::Pieces& pieces, const double* partial, int64_t block, double values) {
  const int64_t width = pieces.planes.block;
  BlockSums result;
  for_each_piece(pieces, block, [&](int64_t index, int64_t count) {
    const double* mean = partial + index * 2 * width;
    for (int64_t i = 0; i < width; ++i) result.first[i] += mean[i] * (static_cast<double>(count) / values);
  });
  for_each_piece(pieces, block, [&](int64_t index, int64_t count) {
    const double *mean = partial + index * 2 * width, *squares = mean + width;
    for (int64_t i = 0; i < width; ++i) {
      const double d = mean[i] - result.first[i];
      result.second[i] += (squares[i] + static_cast<double>(count) * d * d) / values;
    }
  });
  return result;
}

// From input 0, and 1 which is the residual, to output 0.
void apply(const Site& site, Tail tail, const float* scale, const float* shift, const Arguments& arguments) {
  const simd::BatchNormKernels& k = site.kernels();
  site.over_planes(arguments, [&](const Arguments& a, int64_t begin, int64_t end) {
    if (tail == Tail::add_relu)
      k.affine_add_relu(site.planes(), scale, shift, a.inputs[0], a.inputs[1], a.outputs[0], begin, end);
    else
      (tail == Tail::relu ? k.affine_relu : k.affine)(site.planes(), scale, shift, a.inputs[0], a.outputs[0], begin,
                                                      end);
  });
}

InPlace forward_in_place(Tail tail) { return tail == Tail::add_relu ? InPlace{{0, 0}, {0, 1}} : InPlace{{0, 0}}; }

// Training, forward.

// Everything per channel of one block: outputs, running statistics and the coefficients of the second pass.
void finish_statistics(const Site& site, const BatchNorm& attributes, const Arguments& a, size_t first_parameter,
                       const double* partial, int64_t block) {
  const int64_t width = site.planes().block;
  const double n = site.values(), m = attributes.momentum;
  const BlockSums moments = combine_moments(site.pieces(), partial, block, n);
  for (int64_t i = 0; i < width; ++i) {
    const int64_t c = block * width + i;
    const double mean = moments.first[i], variance = moments.second[i];
    float& mean_out = output<float>(a, 1)[c];
    float& invstd_out = output<float>(a, 2)[c];
    float& running_mean = output<float>(a, 3)[c];
    float& running_var = output<float>(a, 4)[c];
    mean_out = static_cast<float>(mean);
    invstd_out = static_cast<float>(1 / std::sqrt(variance + attributes.epsilon));
    running_mean = static_cast<float>((1 - m) * double{running_mean} + m * mean);
    running_var = static_cast<float>((1 - m) * double{running_var} + m * variance * n / (n - 1));
    const Affine f =
        affine(input<float>(a, first_parameter)[c], input<float>(a, first_parameter + 1)[c], mean_out, invstd_out);
    site.array(a, 0)[c] = f.scale;
    site.array(a, 1)[c] = f.shift;
  }
}

Prepared training(const Cpu& cpu, const Graph& graph, const Node& node, Tail tail) {
  const size_t first_parameter = tail == Tail::add_relu ? 2 : 1;
  const BatchNorm attributes = expect_batch_norm(graph, node, tail);
  const Site site(cpu, graph, node, input_type(graph, node, 0));

  const auto run = [=](const Arguments& a) {
    double* partial = site.partial(a, 2);
    site.over_pieces(
        [&](int64_t begin, int64_t end) { site.kernels().moments(site.pieces(), a.inputs[0], partial, begin, end); });
    site.over_blocks([&](int64_t b) { finish_statistics(site, attributes, a, first_parameter, partial, b); });
    apply(site, tail, site.array(a, 0), site.array(a, 1), a);
  };
  return prepared(simd_name(cpu), run, site.workspace(2), forward_in_place(tail));
}

// Inference.

void load_statistics(const Site& site, double epsilon, const float* weight, const float* bias, const float* mean,
                     const float* variance, float* scale, float* shift) {
  for (int64_t c = 0; c < site.channels(); ++c) {
    const auto invstd = static_cast<float>(1 / std::sqrt(double{variance[c]} + epsilon));
    const Affine f = affine(weight[c], bias[c], mean[c], invstd);
    scale[c] = f.scale;
    shift[c] = f.shift;
  }
}

Prepared inference(const Cpu& cpu, const Graph& graph, const Node& node, Tail tail) {
  const size_t first = tail == Tail::add_relu ? 2 : 1;
  const double epsilon = expect_batch_norm_inference(graph, node, tail).epsilon;
  const Site site(cpu, graph, node, input_type(graph, node, 0));

  const auto run = [=](const Arguments& a) {
    float *scale = site.array(a, 0), *shift = site.array(a, 1);
    load_statistics(site, epsilon, input<float>(a, first), input<float>(a, first + 1), input<float>(a, first + 2),
                    input<float>(a, first + 3), scale, shift);
    apply(site, tail, scale, shift, a);
  };
  return prepared(simd_name(cpu), run, site.workspace(2), forward_in_place(tail));
}

// Gradients. With g the masked gradient and n values per channel:
// dx = weight invstd (g - sum(g) / n - (x - mean) invstd^2 sum(g (x - mean)) / n) = a g + (b (x - mean) + c).

struct GradientArrays {
  float *a, *b, *c, *scale, *shift;
};

GradientArrays gradient_arrays(const Site& site, const Arguments& a) {
  return {site.array(a, 0), site.array(a, 1), site.array(a, 2), site.array(a, 3), site.array(a, 4)};
}

void finish_gradient(const Site& site, const double* partial, const float* weight, const float* invstd,
                     const GradientArrays& to, float* dweight, float* dbias, int64_t block) {
  const int64_t width = site.planes().block;
  const BlockSums sums = add_up(site.pieces(), partial, block);
  for (int64_t i = 0; i < width; ++i) {
    const int64_t c = block * width + i;
    const double s = invstd[c], a = weight[c] * s;
    dbias[c] = static_cast<float>(sums.first[i]);
    dweight[c] = static_cast<float>(sums.second[i] * s);
    to.a[c] = static_cast<float>(a);
    to.b[c] = static_cast<float>(-a * s * s * sums.second[i] / site.values());
    to.c[c] = static_cast<float>(-a * sums.first[i] / site.values());
  }
}

// Where the operands of the three gradients stand.
struct GradientSlots {
  size_t weight, bias, mean, invstd;  // inputs; `bias` is for the recomputed mask
  size_t dweight, dbias;              // outputs
};

GradientSlots gradient_slots(Tail tail) {
  switch (tail) {
    case Tail::none:
      return {2, 0, 3, 4, 1, 2};
    case Tail::relu:
      return {2, 3, 4, 5, 1, 2};
    default:
      return {3, 0, 4, 5, 2, 3};
  }
}

void run_gradient(const Site& site, Tail tail, const Arguments& a) {
  const GradientSlots slots = gradient_slots(tail);
  const simd::BatchNormKernels& k = site.kernels();
  const GradientArrays arrays = gradient_arrays(site, a);
  const float *weight = input<float>(a, slots.weight), *mean = input<float>(a, slots.mean),
              *invstd = input<float>(a, slots.invstd);
  const void *dy = a.inputs[0], *x = a.inputs[1];
  double* partial = site.partial(a, 5);
  if (tail == Tail::relu)
    for (int64_t c = 0; c < site.channels(); ++c) {
      const Affine f = affine(weight[c], input<float>(a, slots.bias)[c], mean[c], invstd[c]);
      arrays.scale[c] = f.scale;
      arrays.shift[c] = f.shift;
    }
  site.over_pieces([&](int64_t begin, int64_t end) {
    if (tail == Tail::none)
      k.gradient_sums(site.pieces(), mean, dy, x, partial, begin, end);
    else if (tail == Tail::relu)
      k.gradient_sums_relu(site.pieces(), mean, arrays.scale, arrays.shift, dy, x, partial, begin, end);
    else
      k.gradient_sums_add_relu(site.pieces(), mean, dy, x, a.inputs[2], a.outputs[1], partial, begin, end);
  });
  site.over_blocks([&](int64_t b) {
    finish_gradient(site, partial, weight, invstd, arrays, output<float>(a, slots.dweight),
                    output<float>(a, slots.dbias), b);
  });
  site.over_planes(a, [&](const Arguments& at, int64_t begin, int64_t end) {
    const void* masked = tail == Tail::add_relu ? at.outputs[1] : at.inputs[0];
    if (tail == Tail::relu)
      k.gradient_relu(site.planes(), mean, arrays.a, arrays.b, arrays.c, arrays.scale, arrays.shift, masked,
                      at.inputs[1], at.outputs[0], begin, end);
    else
      k.gradient(site.planes(), mean, arrays.a, arrays.b, arrays.c, masked, at.inputs[1], at.outputs[0], begin, end);
  });
}

Prepared gradient(const Cpu& cpu, const Graph& graph, const Node& node, Tail tail) {
  expect_batch_norm_grad(graph, node, tail);
  const Site site(cpu, graph, node, input_type(graph, node, 1));
  InPlace in_place = {{0, 0}, {0, 1}};
  if (tail == Tail::add_relu) in_place = {{1, 0}, {1, 2}, {0, 1}, {0, 0}, {0, 2}};
  return prepared(
      simd_name(cpu), [=](const Arguments& a) { run_gradient(site, tail, a); }, site.workspace(5), in_place);
}

// Statistics are constants: dx = weight invstd dy.
void run_inference_gradient(const Site& site, double epsilon, const Arguments& a) {
  const GradientArrays arrays = gradient_arrays(site, a);
  const float *weight = input<float>(a, 2), *mean = input<float>(a, 3), *variance = input<float>(a, 4);
  double* partial = site.partial(a, 5);
  float* invstd = arrays.scale;
  for (int64_t c = 0; c < site.channels(); ++c)
    invstd[c] = static_cast<float>(1 / std::sqrt(double{variance[c]} + epsilon));
  site.over_pieces([&](int64_t begin, int64_t end) {
    site.kernels().gradient_sums(site.pieces(), mean, a.inputs[0], a.inputs[1], partial, begin, end);
  });
  site.over_blocks([&](int64_t b) {
    finish_gradient(site, partial, weight, invstd, arrays, output<float>(a, 1), output<float>(a, 2), b);
  });
  std::fill_n(arrays.shift, site.channels(), 0.0f);
  apply(site, Tail::none, arrays.a, arrays.shift, a);
}

Prepared inference_gradient(const Cpu& cpu, const Graph& graph, const Node& node) {
  const double epsilon = expect_batch_norm_inference_grad(graph, node).epsilon;
  const Site site(cpu, graph, node, input_type(graph, node, 1));
  return prepared(simd_name(cpu), [=](const Arguments& a) { run_inference_gradient(site, epsilon, a); },
                  site.workspace(5), {{0, 0}, {0, 1}});
}

}  // namespace

Prepared prepare_batch_norm(const Cpu& c, const Graph& g, const Node& n) { return training(c, g, n, Tail::none); }
Prepared prepare_batch_norm_relu(const Cpu& c, const Graph& g, const Node& n) { return training(c, g, n, Tail::relu); }
Prepared prepare_batch_norm_add_relu(const Cpu& c, const Graph& g, const Node& n) {
  return training(c, g, n, Tail::add_relu);
}
Prepared prepare_batch_norm_inference(const Cpu& c, const Graph& g, const Node& n) {
  return inference(c, g, n, Tail::none);
}
Prepared prepare_batch_norm_inference_relu(const Cpu& c, const Graph& g, const Node& n) {
  return inference(c, g, n, Tail::relu);
}
Prepared prepare_batch_norm_inference_add_relu(const Cpu& c, const Graph& g, const Node& n) {
  return inference(c, g, n, Tail::add_relu);
}
Prepared prepare_batch_norm_grad(const Cpu& c, const Graph& g, const Node& n) { return gradient(c, g, n, Tail::none); }
Prepared prepare_batch_norm_relu_grad(const Cpu& c, const Graph& g, const Node& n) {
  return gradient(c, g, n, Tail::relu);
}
Prepared prepare_batch_norm_add_relu_grad(const Cpu& c, const Graph& g, const Node& n) {
  return gradient(c, g, n, Tail::add_relu);
}
Prepared prepare_batch_norm_inference_grad(const Cpu& c, const Graph& g, const Node& n) {
  return inference_gradient(c, g, n);
}

}  // namespace node_cudnn::cpu
