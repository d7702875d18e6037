#include "backend/cuda/planned.h"

#include <algorithm>

#include "backend/cuda/kernel.h"
#include "backend/cuda/masked_gradient.h"
#include "backend/cuda/scale_relu.h"
#include "program/memory.h"

namespace node_cudnn::cuda {

namespace {

// The float32 operand whose stand-in in the plan's type lies at the start of the workspace.
struct StandIn {
  bool bias = false, gradient = false, residual = false;
  DType dtype = DType::float32;
  int64_t count = 0;
  size_t bytes() const { return bias || gradient ? align(static_cast<size_t>(count) * size_of(dtype)) : 0; }
};

StandIn stand_in(const Convolution& c) {
  const bool half = c.dtype != DType::float32, gradient = half && c.pass == Pass::wgrad;
  return {half && c.bias, gradient, c.residual, c.dtype, gradient ? c.w[0] * c.w[1] * c.w[2] * c.w[3] : c.w[0]};
}

StandIn stand_in(const Product& p) { return {p.dtype != DType::float32 && p.bias, false, false, p.dtype, p.out}; }

class PlanKernel final : public Kernel {
 public:
  PlanKernel(Cuda& cuda, std::shared_ptr<Plan> plan, const StandIn& stand_in)
      : cuda_(cuda), plan_(std::move(plan)), stand_in_(stand_in) {}

  void run(const Arguments& a) override {
    std::byte* rest = static_cast<std::byte*>(a.workspace) + stand_in_.bytes();
    if (stand_in_.bias) {
      narrow(cuda_, input<float>(a, 2), stand_in_.dtype, a.workspace, stand_in_.count);
      void* const inputs[] = {a.inputs[0], a.inputs[1], a.workspace, stand_in_.residual ? a.inputs[3] : nullptr};
      plan_->run(cuda_.stream, {inputs, a.outputs, rest});
    } else if (stand_in_.gradient) {
      void* const outputs[] = {a.workspace};
      plan_->run(cuda_.stream, {a.inputs, outputs, rest});
      widen(cuda_, stand_in_.dtype, a.workspace, output<float>(a, 0), stand_in_.count);
    } else {
      plan_->run(cuda_.stream, {a.inputs, a.outputs, rest});
    }
  }

 private:
  Cuda& cuda_;
  std::shared_ptr<Plan> plan_;
  StandIn stand_in_;
};

// A fused convolution in its parts: the plain one, then a kernel of ours over its output.
class Apart final : public Plan {
 public:
  Apart(Cuda& cuda, const Convolution& c, std::shared_ptr<Plan> plain)
      : cuda_(cuda), convolution_(c), plain_(std::move(plain)) {}

  void run(cudaStream_t stream, const Arguments& a) override {
    const Convolution& c = convolution_;
    const auto [rows, channels] = matrix();
    plain_->run(stream, a);
    if (c.pass == Pass::dgrad) {
      const NormParameters norm{input<float>(a, 3), input<float>(a, 4), input<float>(a, 5), input<float>(a, 6)};
      mask_gradient(cuda_, c.dtype, a.outputs[0], a.inputs[2], norm, rows, channels, output<float>(a, 1),
                    output<float>(a, 2), a.workspace);
    } else if (c.statistics) {
      sum_channels(cuda_, c.dtype, a.outputs[0], rows, channels, output<float>(a, 1), output<float>(a, 2), a.workspace);
    } else {
      const void* residual = c.residual ? a.inputs[c.bias ? 3 : 2] : nullptr;
      rectify(cuda_, c.dtype, a.outputs[0], residual, rows * channels);
    }
  }
  size_t workspace_bytes() const override {
    const Convolution& c = convolution_;
    if (!c.statistics) return plain_->workspace_bytes();
    const auto [rows, channels] = matrix();
    const auto bytes_of = c.pass == Pass::dgrad ? mask_gradient_bytes : sum_channels_bytes;
    return std::max(plain_->workspace_bytes(), bytes_of(cuda_, c.dtype, rows, channels));
  }

 private:
  struct Matrix {
    int64_t rows, channels;
  };

  Matrix matrix() const {  // the output
    const auto& [n, channels, h, w] = convolution_.pass == Pass::dgrad ? convolution_.x : convolution_.y;
    return {n * h * w, channels};
  }

  Cuda& cuda_;
  Convolution convolution_;
  std::shared_ptr<Plan> plain_;
};

// A convolution with a prologue in its parts: a kernel of ours writes what the rest of it reads, into the workspace
// where that is no output.
class Fed final : public Plan {
 public:
  Fed(Cuda& cuda, const Convolution& c, std::shared_ptr<Plan> rest)
      : cuda_(cuda), convolution_(c), rest_(std::move(rest)) {}

  void run(cudaStream_t stream, const Arguments& a) override {
    const auto& [n, channels, h, w] = convolution_.x;
    const bool adds = convolution_.residual;
    void* const fed = adds ? a.outputs[3] : a.workspace;
    scale_relu(cuda_, convolution_.dtype, a.inputs[0], a.inputs[1], a.inputs[2], adds ? a.inputs[3] : nullptr,
               n * h * w, channels, fed);
    void* const inputs[] = {fed, a.inputs[adds ? 4 : 3]};
    rest_->run(stream, {inputs, a.outputs, static_cast<std::byte*>(a.workspace) + bytes()});
  }
  size_t workspace_bytes() const override { return bytes() + rest_->workspace_bytes(); }

 private:
  size_t bytes() const {  // at the start of the workspace
    const auto& [n, channels, h, w] = convolution_.x;
    return convolution_.residual ? 0 : align(static_cast<size_t>(n * channels * h * w) * size_of(convolution_.dtype));
  }

  Cuda& cuda_;
  Convolution convolution_;
  std::shared_ptr<Plan> rest_;
};

// A convolution of pictures, whose channels are padded with zeros to as many as tensor cores take at a time.
class Padded final : public Plan {
 public:
  Padded(Cuda& cuda, const Convolution& few, const Convolution& padded, std::shared_ptr<Plan> plan)
      : cuda_(cuda), few_(few), padded_(padded), plan_(std::move(plan)) {}

  void run(cudaStream_t stream, const Arguments& a) override {
    std::byte *x = static_cast<std::byte*>(a.workspace), *w = x + bytes(padded_.x), *rest = w + bytes(padded_.w);
    resize(a.inputs[0], few_.x, padded_.x, x);
    if (few_.pass == Pass::wgrad) {
      void *const inputs[] = {x, a.inputs[1]}, *const outputs[] = {w};
      plan_->run(stream, {inputs, outputs, rest});
      resize(w, padded_.w, few_.w, a.outputs[0]);
    } else {
      resize(a.inputs[1], few_.w, padded_.w, w);
      void* const inputs[] = {x, w, few_.bias ? a.inputs[2] : nullptr};
      plan_->run(stream, {inputs, a.outputs, rest});
    }
  }
  size_t workspace_bytes() const override { return bytes(padded_.x) + bytes(padded_.w) + plan_->workspace_bytes(); }

 private:
  using Sizes = std::array<int64_t, 4>;

  size_t bytes(const Sizes& s) const {
    return align(static_cast<size_t>(s[0] * s[1] * s[2] * s[3]) * size_of(few_.dtype));
  }
  void resize(const void* source, const Sizes& from, const Sizes& to, void* target) {
    resize_channels(cuda_, few_.dtype, source, from[0] * from[2] * from[3], from[1], to[1], target);
  }

  Cuda& cuda_;
  Convolution few_, padded_;
  std::shared_ptr<Plan> plan_;
};

Engines::Alternative padded(Cuda& cuda, const Convolution& c) {
  const int64_t channels = c.dtype == DType::float32 ? 4 : 8;
  if (c.groups != 1 || c.pass == Pass::dgrad || c.x[1] >= channels || c.x[1] > 4) return {};
  return [&cuda, c, channels] {
    Convolution more = c;
    more.x[1] = more.w[1] = channels;
    Engines::Choice choice = cuda.engines->choose(more);
    return Engines::Choice{std::make_unique<Padded>(cuda, c, more, std::move(choice.plan)),
                           choice.name + ", " + std::to_string(channels) + " channels"};
  };
}

Engines::Alternative apart(Cuda& cuda, const Convolution& c) {
  return [&cuda, c] {
    Convolution plain = c;
    plain.residual = plain.relu = plain.statistics = false;
    Engines::Choice choice = cuda.engines->choose(plain, padded(cuda, plain));
    return Engines::Choice{std::make_unique<Apart>(cuda, c, std::move(choice.plan)),
                           choice.name + (c.statistics ? ", sums apart" : ", relu apart")};
  };
}

Engines::Alternative alternative(Cuda& cuda, const Convolution& c) {
  if (!c.prologue) return (c.is_fused() ? apart : padded)(cuda, c);
  return [&cuda, c] {
    Convolution rest = c;
    rest.prologue = rest.residual = false;
    Engines::Choice choice = cuda.engines->choose(rest, alternative(cuda, rest));
    return Engines::Choice{std::make_unique<Fed>(cuda, c, std::move(choice.plan)), choice.name + ", prologue apart"};
  };
}

template <class Problem>
Prepared planned_with_stand_in(Cuda& cuda, const Problem& problem, Engines::Choice choice) {
  const StandIn stand_in = cuda::stand_in(problem);
  const size_t workspace = stand_in.bytes() + choice.plan->workspace_bytes();
  return {std::make_unique<PlanKernel>(cuda, std::move(choice.plan), stand_in), workspace, choice.name, {}};
}

}  // namespace

Prepared planned(Cuda& cuda, const Convolution& convolution) {
  return planned_with_stand_in(cuda, convolution, cuda.engines->choose(convolution, alternative(cuda, convolution)));
}
Prepared planned(Cuda& cuda, const Product& product) {
  return planned_with_stand_in(cuda, product, cuda.engines->choose(product));
}

}  // namespace node_cudnn::cuda
