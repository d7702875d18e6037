// Own kernels that are compiled once per instruction set; the right table is picked at run time (simd.cc).
// `void*` stands for the element type of the table: float or bfloat16. Arithmetic is in float32.
// Ranges are [begin, end). Plain data only: an inline function here would be compiled for several processors and
// merged into one.
#pragma once

#include <cstdint>

namespace node_cudnn {
enum class DType : uint8_t;
}

namespace node_cudnn::cpu {

enum class Isa : uint8_t;

namespace simd {

struct ElementKernels {
  void (*relu)(const void* x, void* y, int64_t begin, int64_t end);
  void (*relu_grad)(const void* dy, const void* y, void* dx, int64_t begin, int64_t end);
  void (*sigmoid)(const void* x, void* y, int64_t begin, int64_t end);
  void (*sigmoid_grad)(const void* dy, const void* y, void* dx, int64_t begin, int64_t end);
  void (*tanh)(const void* x, void* y, int64_t begin, int64_t end);
  void (*tanh_grad)(const void* dy, const void* y, void* dx, int64_t begin, int64_t end);
  void (*add)(const void* a, const void* b, void* y, int64_t begin, int64_t end);
  void (*mul)(const void* a, const void* b, void* y, int64_t begin, int64_t end);
  void (*lerp)(const void* x, const void* h, const void* t, void* y, int64_t begin, int64_t end);
  // {dy, x, h, t} to {dx, dh, dt}
  void (*lerp_grad)(void* const* inputs, void* const* outputs, int64_t begin, int64_t end);
};

// Activations in memory order: [n][blocks][plane]; a plane is one channel block of one image, [h][w][block].
// Per-channel arrays have blocks * block entries; block is 1 or the width of a vector.
struct Planes {
  int64_t n, blocks, block, plane;
};

// The pieces of an activation that reductions are made of: float sums inside a piece, double across pieces. They
// depend on the shape alone, hence so does the rounding. A piece is `images` whole planes (`parts` is 1) or `length`
// elements of one plane; pieces are numbered in memory order [n / images][blocks][parts].
struct Pieces {
  Planes planes;
  int64_t images, length, parts;
  int64_t gap = 0;  // by how many elements the images of dy lie further apart than those of x
};

struct BatchNormKernels {
  // partial[piece][2][block]: mean and sum of squared deviations from it.
  void (*moments)(const Pieces& pieces, const void* x, double* partial, int64_t begin, int64_t end);

  // partial[piece][2][block]: sum of g and of g (x - mean), where g is
  //   gradient_sums           dy
  //   gradient_sums_relu      dy where scale x + shift > 0, else 0
  //   gradient_sums_add_relu  dy where y > 0, else 0; also stored as dresidual
  void (*gradient_sums)(const Pieces& pieces, const float* mean, const void* dy, const void* x, double* partial,
                        int64_t begin, int64_t end);
  void (*gradient_sums_relu)(const Pieces& pieces, const float* mean, const float* scale, const float* shift,
                             const void* dy, const void* x, double* partial, int64_t begin, int64_t end);
  void (*gradient_sums_add_relu)(const Pieces& pieces, const float* mean, const void* dy, const void* x, const void* y,
                                 void* dresidual, double* partial, int64_t begin, int64_t end);
  void (*sums)(const Pieces& pieces, const void* x, double* partial, int64_t begin,
               int64_t end);  // partial[piece][block]

  // Ranges of planes, walked from the last to the first: what the pass before touched last is still in the cache.
  // y = scale x + shift
  void (*affine)(const Planes& planes, const float* scale, const float* shift, const void* x, void* y, int64_t begin,
                 int64_t end);
  void (*affine_relu)(const Planes& planes, const float* scale, const float* shift, const void* x, void* y,
                      int64_t begin, int64_t end);
  void (*affine_add_relu)(const Planes& planes, const float* scale, const float* shift, const void* x,
                          const void* residual, void* y, int64_t begin, int64_t end);
  // dx = a g + (b (x - mean) + c); g as above.
  void (*gradient)(const Planes& planes, const float* mean, const float* a, const float* b, const float* c,
                   const void* dy, const void* x, void* dx, int64_t begin, int64_t end);
  void (*gradient_relu)(const Planes& planes, const float* mean, const float* a, const float* b, const float* c,
                        const float* scale, const float* shift, const void* dy, const void* x, void* dx, int64_t begin,
                        int64_t end);
};

// Windows over neighbouring channels: s[c] = k + scale * (sum of x[j]^2, |j - c| <= half).
struct Neighbours {
  int64_t channels, pixels, block, half;  // pixels of one image; block is 1 or the width of a vector
  float scale, beta, k;
};

// Ranges of pixels of the whole batch. A line has room for all channels, rounded up to 16, and twice `half` more.
struct ResponseKernels {
  void (*forward)(const Neighbours& g, const void* x, void* y, float* line, int64_t begin, int64_t end);
  void (*backward)(const Neighbours& g, const void* dy, const void* x, void* dx, float* three_lines, int64_t begin,
                   int64_t end);
};

struct SoftmaxRow {
  float sum;  // of exp(x - maximum)
  float maximum;
  float offsets;  // sum of x - maximum
};

struct SoftmaxKernels {
  SoftmaxRow (*softmax)(const void* logits, float* probabilities, int64_t classes);
};

struct SgdStep {
  float learning_rate, scale, weight_decay, momentum;
  bool nesterov;
};

// g = scale g + penalty w; m and v are running means of g and g^2; w = keep w - rate m / (root sqrt(v) + epsilon).
struct AdamStep {
  float scale, penalty, keep, rate, root, epsilon;
  float beta1, beta2, share1, share2;  // share = 1 - beta
};

struct LarsStep {
  float scale, weight_decay, momentum, local_rate;
};

struct OptimizerKernels {
  void (*sgd)(const SgdStep& step, const float* g, float* w, int64_t begin, int64_t end);
  void (*sgd_momentum)(const SgdStep& step, const float* g, float* w, float* m, int64_t begin, int64_t end);
  void (*adam)(const AdamStep& step, const float* g, float* w, float* m, float* v, int64_t begin, int64_t end);
  void (*lars)(const LarsStep& step, const float* g, float* w, float* v, int64_t begin, int64_t end);
  void (*average)(float share, const float* x, float* average, int64_t begin, int64_t end);
  double (*sum_of_squares)(const float* x, int64_t begin, int64_t end);
};

// For activations of `dtype`: float32 or bfloat16.
const ElementKernels& element(Isa isa, DType dtype);
const BatchNormKernels& batch_norm(Isa isa, DType dtype);
const ResponseKernels& response(Isa isa, DType dtype);
const SoftmaxKernels& softmax(Isa isa, DType dtype);
const OptimizerKernels& optimizer(Isa isa);

#define NODE_CUDNN_SIMD_TABLES(isa)                                      \
  namespace isa {                                                        \
  extern const ElementKernels element_float32, element_bfloat16;         \
  extern const BatchNormKernels batch_norm_float32, batch_norm_bfloat16; \
  extern const ResponseKernels response_float32, response_bfloat16;      \
  extern const SoftmaxKernels softmax_float32, softmax_bfloat16;         \
  extern const OptimizerKernels optimizer;                               \
  }
NODE_CUDNN_SIMD_TABLES(generic)
NODE_CUDNN_SIMD_TABLES(avx2)
NODE_CUDNN_SIMD_TABLES(avx512)
#undef NODE_CUDNN_SIMD_TABLES

}  // namespace simd
}  // namespace node_cudnn::cpu
