#include "backend/cuda/libraries/convolution.h"

#include <algorithm>
#include <set>

#include "backend/cuda/libraries/operations.h"

namespace node_cudnn::cuda {

namespace {

template <class Note>
bool has(const std::vector<Note>& notes, Note note) {
  return std::find(notes.begin(), notes.end(), note) != notes.end();
}

struct Engine {
  std::string name;  // "cudnn:34 k2=5 k14=3"
  std::vector<cudnnBackendNumericalNote_t> numerics;
  bool compiles;
};

Engine engine_of(const Descriptor& configuration) {
  const Descriptor engine = configuration.descriptor(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  std::string name = "cudnn:" + std::to_string(engine.integer(CUDNN_ATTR_ENGINE_GLOBAL_INDEX));
  for (const Descriptor& knob : configuration.descriptors(
           CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_KNOB_TYPE_COUNTS)) {
    const auto type = knob.value<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE);
    name += " k" + std::to_string(static_cast<int>(type)) + "=" +
            std::to_string(knob.integer(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
  }
  const auto behaviour =
      engine.notes<cudnnBackendBehaviorNote_t>(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE);
  return {name, engine.notes<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE),
          has(behaviour, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION)};
}

// Whether an engine keeps the precision that was asked for.
bool serves(const Engine& engine, const Convolution& c, bool deterministic) {
  const bool exact = c.dtype == DType::float32 && !c.tf32;
  // These add with atomics; where there are precompiled ones, they are left out.
  if (c.statistics && engine.compiles && (deterministic || c.dtype == DType::float16)) return false;
  if (deterministic && has(engine.numerics, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) return false;
  if (exact && has(engine.numerics, CUDNN_NUMERICAL_NOTE_TENSOR_CORE)) return false;
  if (exact && has(engine.numerics, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)) return false;
  return !has(engine.numerics, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION);
}

// What a candidate is made of; the configuration refers to the graph.
struct Way {
  Descriptor graph, configuration;
};

class CudnnPlan final : public Plan {
 public:
  CudnnPlan(const CudnnFunctions& cudnn, cudnnHandle_t handle, Descriptor plan, const Convolution& c)
      : cudnn_(cudnn), handle_(handle), plan_(std::move(plan)), uids_(uids(c)), outputs_(outputs_of(c)) {}

  size_t workspace_bytes() const override {
    return static_cast<size_t>(plan_.integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
  }

  void run(cudaStream_t, const Arguments& a) override {  // the handle knows the stream
    std::vector<void*> addresses(a.inputs, a.inputs + uids_.size() - outputs_);
    addresses.insert(addresses.end(), a.outputs, a.outputs + outputs_);
    Descriptor pack(cudnn_, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, uids_)
        .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, std::span<void* const>(addresses))
        .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, a.workspace)
        .finalize();
    check(cudnn_, cudnn_.execute(handle_, plan_.get(), pack.get()), "cudnnBackendExecute");
  }

 private:
  const CudnnFunctions& cudnn_;
  cudnnHandle_t handle_;
  Descriptor plan_;
  std::vector<int64_t> uids_;
  size_t outputs_;
};

}  // namespace

ConvolutionPlanner::ConvolutionPlanner(const CudnnFunctions& cudnn, const std::string& device_json)
    : cudnn_(cudnn), device_(Descriptor(cudnn, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR)) {
  device_->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, device_json).finalize();
}

std::vector<Descriptor> ConvolutionPlanner::configurations(const Descriptor& graph, cudnnBackendHeurMode_t mode) const {
  try {
    Descriptor heuristics(cudnn_, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
        .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
    if (device_) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *device_);
    heuristics.finalize();
    return heuristics.descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  } catch (const CudnnError&) {  // this mode has nothing for the graph
    return {};
  }
}

std::vector<Candidate> ConvolutionPlanner::candidates(const Convolution& c) const {
  const std::vector<Descriptor> made = operations(cudnn_, c);
  Descriptor graph(cudnn_, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, std::span<const Descriptor>(made));
  if (handle_ != nullptr) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle_);
  graph.finalize();
  std::vector<Candidate> found;
  std::set<std::string> known;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    for (const Descriptor& configuration : configurations(graph, mode)) {
      const Engine engine = engine_of(configuration);
      if (!serves(engine, c, deterministic_) || !known.insert(engine.name).second) continue;
      const bool accumulates = c.statistics && engine.compiles;
      found.push_back({engine.name, engine.compiles, std::make_shared<Way>(graph, configuration), accumulates});
    }
  }
  return found;
}

std::unique_ptr<Plan> ConvolutionPlanner::build(const Convolution& c, const Candidate& candidate) const {
  const auto& way = *static_cast<const Way*>(candidate.way.get());
  try {
    Descriptor plan(cudnn_, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    if (handle_ != nullptr) plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle_);
    if (device_) plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *device_);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, way.configuration).finalize();
    return std::make_unique<CudnnPlan>(cudnn_, handle_, std::move(plan), c);
  } catch (const CudnnError&) {  // a proposal is no promise
    return nullptr;
  }
}

}  // namespace node_cudnn::cuda
