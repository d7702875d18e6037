#include "backend/cuda/planned.h"

#include <algorithm>

#include "backend/cuda/kernel.h"
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
  PlanKernel(Cuda& cuda, std::unique_ptr<Plan> plan, const StandIn& stand_in)
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
  std::unique_ptr<Plan> plan_;
  StandIn stand_in_;
};

// A fused convolution in its parts: the plain one, then a kernel of ours over its output.
class Apart final : public Plan {
 public:
  Apart(Cuda& cuda, const Convolution& c, std::unique_ptr<Plan> plain)
      : cuda_(cuda), convolution_(c), plain_(std::move(plain)) {}

  void run(cudaStream_t stream, const Arguments& a) override {
    const Convolution& c = convolution_;
    const int64_t rows = c.y[0] * c.y[2] * c.y[3], channels = c.y[1];
    plain_->run(stream, a);
    if (c.statistics) {
      sum_channels(cuda_, c.dtype, a.outputs[0], rows, channels, output<float>(a, 1), output<float>(a, 2), a.workspace);
    } else {
      const void* residual = c.residual ? a.inputs[c.bias ? 3 : 2] : nullptr;
      rectify(cuda_, c.dtype, a.outputs[0], residual, rows * channels);
    }
  }
  size_t workspace_bytes() const override {
    const Convolution& c = convolution_;
    const size_t sums = c.statistics ? sum_channels_bytes(cuda_, c.dtype, c.y[0] * c.y[2] * c.y[3], c.y[1]) : 0;
    return std::max(plain_->workspace_bytes(), sums);
  }

 private:
  Cuda& cuda_;
  Convolution convolution_;
  std::unique_ptr<Plan> plain_;
};

Engines::Alternative apart(Cuda& cuda, const Convolution& c) {
  if (!c.is_fused()) return {};
  return [&cuda, c] {
    Convolution plain = c;
    plain.residual = plain.relu = plain.statistics = false;
    Engines::Choice choice = cuda.engines->choose(plain);
    return Engines::Choice{std::make_unique<Apart>(cuda, c, std::move(choice.plan)),
                           choice.name + (c.statistics ? ", sums apart" : ", relu apart")};
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
  return planned_with_stand_in(cuda, convolution, cuda.engines->choose(convolution, apart(cuda, convolution)));
}
Prepared planned(Cuda& cuda, const Product& product) {
  return planned_with_stand_in(cuda, product, cuda.engines->choose(product));
}

}  // namespace node_cudnn::cuda
