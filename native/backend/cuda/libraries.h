// The seam to NVIDIA's libraries: what cuDNN and cuBLASLt compute, said in shapes. Behind it stands libraries/; the
// simulation puts the reference's loops there instead, so everything on this side runs in it.
#pragma once

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "backend/cuda/cuda.h"

namespace node_cudnn::cuda {

// Operands as in docs/ops.md: (x, w, [bias], [residual]), (dy, w), (x, dy).
enum class Pass : uint8_t { forward, dgrad, wgrad };

// Operands are `dtype`, stored as cuda.h says, the bias too; sums are float32.
struct Convolution {
  Pass pass;
  DType dtype;
  DType result;                    // of the output: dtype, or float32 for a wgrad
  std::array<int64_t, 4> x, w, y;  // logical: [N, C, H, W], [O, I / groups, kh, kw], [N, O, H', W']
  std::array<int64_t, 2> stride, dilation;
  std::array<int64_t, 4> padding;  // top, left, bottom, right
  int64_t groups;
  bool bias;
  bool tf32;  // float32 products may round their operands to tf32
  // Of a fused node, forward: y = relu(sum + bias + residual), or y with the sums of its channels and of their squares.
  bool residual = false;
  bool relu = false;
  // Forward: outputs y, sum, square_sum; float32 [O]. dgrad: operands dy, w, x, and weight, bias, mean, invstd of the
  // normalisation between x and the convolution's input relu(bn(x)); outputs its gradient behind the ReLU's mask,
  // dweight, dbias; float32 [C].
  bool statistics = false;
  // x stands for relu(scale · x + shift), per channel, in dtype: operands (x, scale, shift, w), (x, scale, shift, dy).
  // With `residual` (forward, with sums) for z = relu(scale · x + shift + residual): operands x, scale, shift,
  // residual, w; z is the last output.
  bool prologue = false;

  bool is_fused() const { return residual || relu || statistics || prologue; }
};

struct Product {
  Pass pass;
  DType dtype;
  DType result;
  int64_t n, in, out;  // x [n, in], w [out, in], y [n, out]
  bool bias;
  bool tf32;
};

// Batch norm of training, by the statistics of the batch. Operands and outputs, activations in `dtype`, the rest
// float32:
//   forward   x, [residual], weight, bias -> y, mean, invstd; y = relu(bn(x) + residual)
//   backward  dy, x, weight, [bias], mean, invstd -> dx, dweight, dbias; with `relu` dy counts where bn(x) > 0
//             dy, x, y, weight, mean, invstd -> dx, dresidual, dweight, dbias; with `residual` dy counts where y > 0
struct Normalization {
  bool backward;
  DType dtype;
  std::array<int64_t, 4> x;
  bool residual = false;
  bool relu = false;
  float epsilon = 0;  // forward; given to a plan when it runs, so that it is no part of what a choice depends on
};

// Operands and outputs: x -> y, [index]; dy, [index] -> dx. A maximum has an index, uint8: i · kw + j of the first in
// its window. Every window of y begins and ends inside the padded picture.
struct Pooling {
  bool backward;
  bool maximum;  // else the average
  DType dtype;
  std::array<int64_t, 4> x, y;
  std::array<int64_t, 2> kernel, stride;
  std::array<int64_t, 4> padding;  // top, left, bottom, right
  bool count_padding;              // in an average
};

// What a library answers where it does not do what it was asked.
class LibraryError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One way to compute a node, ready to be launched any number of times.
class Plan {
 public:
  virtual ~Plan() = default;
  virtual void run(cudaStream_t stream, const Arguments& arguments) = 0;
  virtual size_t workspace_bytes() const = 0;
  // What a later process makes it of without compiling it again; empty where it cannot.
  virtual std::string saved() const { return {}; }
};

// One way that a library offers; `name` says the same way in every process with the same library and device.
struct Candidate {
  std::string name;
  bool compiles = false;      // at run time, which takes a second or so
  std::shared_ptr<void> way;  // the library's own
  bool accumulates = false;   // adds, with atomics, to what the outputs behind the first hold
  std::string saved = {};     // what Plan::saved() gave before, where it did
};

class Libraries {
 public:
  virtual ~Libraries() = default;
  virtual std::string versions() const = 0;           // "cuDNN 9.28.0, cuBLASLt 13.10"
  virtual std::string refusal() const { return {}; }  // what it said when it refused something last
  // Best first, by the library's own judgement; empty where it has no way.
  virtual std::vector<Candidate> candidates(const Convolution& convolution) = 0;
  virtual std::vector<Candidate> candidates(const Normalization& normalization) = 0;
  virtual std::vector<Candidate> candidates(const Pooling& pooling) = 0;
  virtual std::vector<Candidate> candidates(const Product& product) = 0;
  // nullptr where the candidate turns out not to serve.
  virtual std::unique_ptr<Plan> build(const Convolution& convolution, const Candidate& candidate) = 0;
  virtual std::unique_ptr<Plan> build(const Normalization& normalization, const Candidate& candidate) = 0;
  virtual std::unique_ptr<Plan> build(const Pooling& pooling, const Candidate& candidate) = 0;
  virtual std::unique_ptr<Plan> build(const Product& product, const Candidate& candidate) = 0;
};

// Throws where this machine has no driver, which the runtime would call too old.
void expect_driver();

// Finds, checks and opens the libraries for a device; the messages of its errors name what was tried and the cure.
std::unique_ptr<Libraries> open_libraries(const Cuda& cuda, const BackendOptions& options);

}  // namespace node_cudnn::cuda
