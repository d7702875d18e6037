// Operations as a cuDNN graph, and its execution plans. Plans come from a handle, or, without a device, from the
// description of one.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/cuda/libraries.h"
#include "backend/cuda/libraries/cudnn.h"
#include "program/memory.h"

namespace node_cudnn::cuda {

cudnnDataType_t data_type(DType dtype);

using Sizes = std::array<int64_t, 4>;

// Dimensions are logical; the channels lie innermost.
Descriptor tensor(const CudnnFunctions& cudnn, int64_t uid, cudnnDataType_t type, const Sizes& shape,
                  bool is_virtual = false);
Descriptor tensor(const CudnnFunctions& cudnn, int64_t uid, DType dtype, const Sizes& shape, bool is_virtual = false);
// One number for each of the channels.
Descriptor per_channel(const CudnnFunctions& cudnn, int64_t uid, DType dtype, int64_t channels);
// A float32 that plans read from the host when they are run.
Descriptor scalar(const CudnnFunctions& cudnn, int64_t uid);

// y = mode(x, [operand]), element by element, in float32.
Descriptor pointwise(const CudnnFunctions& cudnn, cudnnPointwiseMode_t mode, const Descriptor& x,
                     const std::optional<Descriptor>& operand, const Descriptor& y);
// The gradient before a ReLU, from the one behind it; `x` is what went into the ReLU.
Descriptor relu_gradient(const CudnnFunctions& cudnn, const Descriptor& dy, const Descriptor& x, const Descriptor& dx);

struct Engine {
  std::string name;  // "cudnn:34 k2=5 k14=3"
  std::vector<cudnnBackendNumericalNote_t> numerics;
  bool compiles;

  bool has(cudnnBackendNumericalNote_t note) const;
};

// What a plan is given when it is run.
struct Binding {
  int64_t uid;
  void* address;
};

class GraphPlan {
 public:
  // `way`: what the plan was made of, and may go on to refer to.
  GraphPlan(const CudnnFunctions& cudnn, cudnnHandle_t handle, Descriptor plan, std::shared_ptr<void> way)
      : cudnn_(cudnn), handle_(handle), way_(std::move(way)), plan_(std::move(plan)) {}

  size_t workspace_bytes() const;
  void run(cudaStream_t stream, const std::vector<Binding>& bindings, void* workspace);  // `stream`: the handle's
  std::string saved() const { return plan_.text(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION); }

 private:
  const CudnnFunctions& cudnn_;
  cudnnHandle_t handle_;
  std::shared_ptr<void> way_;
  Descriptor plan_;
};

// What a plan writes and nobody reads: each lies in the workspace.
struct Spare {
  std::vector<int64_t> uids;
  size_t bytes = 0;  // of each
};

// A plan whose operands are those of the node, in its order; the last `outputs` of the uids are its outputs.
class OperandPlan final : public Plan {
 public:
  OperandPlan(GraphPlan plan, std::vector<int64_t> uids, size_t outputs, Spare spare = {})
      : plan_(std::move(plan)), uids_(std::move(uids)), outputs_(outputs), spare_(std::move(spare)) {}

  size_t workspace_bytes() const override { return spare_.uids.size() * align(spare_.bytes) + plan_.workspace_bytes(); }
  void run(cudaStream_t stream, const Arguments& arguments) override;
  std::string saved() const override { return plan_.saved(); }

 private:
  GraphPlan plan_;
  std::vector<int64_t> uids_;
  size_t outputs_;
  Spare spare_;
};

class GraphPlanner {
 public:
  // For a device: the handle stays the caller's.
  GraphPlanner(const CudnnFunctions& cudnn, cudnnHandle_t handle, bool deterministic)
      : cudnn_(cudnn), handle_(handle), deterministic_(deterministic) {}
  // For the device that cuDNN's JSON describes; plans can be built, not run.
  GraphPlanner(const CudnnFunctions& cudnn, const std::string& device_json);

  // Empty where cuDNN refuses the graph that `operations` gives, or any of them.
  std::vector<Candidate> candidates(const std::function<std::vector<Descriptor>()>& operations,
                                    const std::function<bool(const Engine&)>& serves) const;
  std::optional<GraphPlan> build(const Candidate& candidate) const;  // a proposal is no promise

  const CudnnFunctions& cudnn() const { return cudnn_; }
  bool deterministic() const { return deterministic_; }
  const std::string& refusal() const { return refusal_; }  // what cuDNN said when it refused something last

 private:
  std::optional<Descriptor> graph_of(const std::function<std::vector<Descriptor>()>& operations) const;
  std::vector<Descriptor> configurations(const Descriptor& graph, cudnnBackendHeurMode_t mode) const;
  std::optional<GraphPlan> build(const Candidate& candidate, bool saved) const;

  const CudnnFunctions& cudnn_;
  cudnnHandle_t handle_ = nullptr;
  std::optional<Descriptor> device_;
  bool deterministic_ = false;
  mutable std::string refusal_;
};

}  // namespace node_cudnn::cuda
