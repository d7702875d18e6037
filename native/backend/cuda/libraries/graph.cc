#include "backend/cuda/libraries/graph.h"

#include <algorithm>
#include <set>

namespace node_cudnn::cuda {

namespace {

Descriptor point(const CudnnFunctions& cudnn, cudnnPointwiseMode_t mode) {
  Descriptor kind(cudnn, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  kind.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode)
      .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  if (mode == CUDNN_POINTWISE_RELU_FWD || mode == CUDNN_POINTWISE_RELU_BWD)  // else a NaN becomes 0
    kind.set(CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, CUDNN_PROPAGATE_NAN);
  kind.finalize();
  Descriptor made(cudnn, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, kind);
  return made;
}

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
  const bool compiles =
      std::find(behaviour.begin(), behaviour.end(), CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) != behaviour.end();
  return {name, engine.notes<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE),
          compiles};
}

// What a candidate is made of; the configuration refers to the graph.
struct Way {
  Descriptor graph, configuration;
};

}  // namespace

cudnnDataType_t data_type(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return CUDNN_DATA_FLOAT;
    case DType::float16:
      return CUDNN_DATA_HALF;
    case DType::bfloat16:
      return CUDNN_DATA_BFLOAT16;
    case DType::uint8:
      return CUDNN_DATA_UINT8;
    default:
      throw std::invalid_argument(std::string("cuDNN takes no ") + name_of(dtype));
  }
}

Descriptor tensor(const CudnnFunctions& cudnn, int64_t uid, cudnnDataType_t type, const Sizes& shape, bool is_virtual) {
  const auto [n, c, h, w] = shape;
  const Sizes strides = {h * w * c, 1, w * c, c};
  Descriptor made(cudnn, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  made.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, uid)
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, shape)
      .set(CUDNN_ATTR_TENSOR_STRIDES, strides)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, int64_t{256})
      .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, is_virtual);
  return std::move(made.finalize());
}

Descriptor tensor(const CudnnFunctions& cudnn, int64_t uid, DType dtype, const Sizes& shape, bool is_virtual) {
  return tensor(cudnn, uid, data_type(dtype), shape, is_virtual);
}

Descriptor per_channel(const CudnnFunctions& cudnn, int64_t uid, DType dtype, int64_t channels) {
  return tensor(cudnn, uid, dtype, {1, channels, 1, 1});
}

Descriptor scalar(const CudnnFunctions& cudnn, int64_t uid) {
  const Sizes one = {1, 1, 1, 1};
  Descriptor made(cudnn, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  made.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, uid)
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, one)
      .set(CUDNN_ATTR_TENSOR_STRIDES, one)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, int64_t{sizeof(float)})
      .set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, true);
  return std::move(made.finalize());
}

Descriptor pointwise(const CudnnFunctions& cudnn, cudnnPointwiseMode_t mode, const Descriptor& x,
                     const std::optional<Descriptor>& operand, const Descriptor& y) {
  Descriptor made = point(cudnn, mode);
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x).set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  if (operand) made.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *operand);
  return std::move(made.finalize());
}

Descriptor relu_gradient(const CudnnFunctions& cudnn, const Descriptor& dy, const Descriptor& x, const Descriptor& dx) {
  Descriptor made = point(cudnn, CUDNN_POINTWISE_RELU_BWD);
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, dy)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, dx);
  return std::move(made.finalize());
}

bool Engine::has(cudnnBackendNumericalNote_t note) const {
  return std::find(numerics.begin(), numerics.end(), note) != numerics.end();
}

size_t GraphPlan::workspace_bytes() const {
  return static_cast<size_t>(plan_.integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
}

void GraphPlan::run(cudaStream_t stream, const std::vector<Binding>& bindings, void* workspace) {
  std::vector<int64_t> uids;
  std::vector<void*> addresses;
  for (const auto& [uid, address] : bindings) {
    uids.push_back(uid);
    addresses.push_back(address);
  }
  Descriptor pack(cudnn_, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, uids)
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, std::span<void* const>(addresses))
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace)
      .finalize();
  const cudnnStatus_t status = cudnn_.execute(handle_, plan_.get(), pack.get());
  if (status != CUDNN_STATUS_SUCCESS) expect_alive(stream);
  check(cudnn_, status, "cudnnBackendExecute");
}

void OperandPlan::run(cudaStream_t stream, const Arguments& a) {
  const size_t inputs = uids_.size() - outputs_;
  std::vector<Binding> bindings;
  for (size_t i = 0; i < uids_.size(); ++i)
    bindings.push_back({uids_[i], i < inputs ? a.inputs[i] : a.outputs[i - inputs]});
  auto* rest = static_cast<std::byte*>(a.workspace);
  for (const int64_t uid : spare_.uids) {
    bindings.push_back({uid, rest});
    rest += align(spare_.bytes);
  }
  plan_.run(stream, bindings, rest);
}

GraphPlanner::GraphPlanner(const CudnnFunctions& cudnn, const std::string& device_json)
    : cudnn_(cudnn), device_(Descriptor(cudnn, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR)) {
  device_->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, device_json).finalize();
}

std::vector<Descriptor> GraphPlanner::configurations(const Descriptor& graph, cudnnBackendHeurMode_t mode) const {
  try {
    Descriptor heuristics(cudnn_, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
        .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
    if (device_) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *device_);
    heuristics.finalize();
    return heuristics.descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  } catch (const LibraryError& error) {  // this mode has nothing for the graph
    refusal_ = error.what();
    return {};
  }
}

std::optional<Descriptor> GraphPlanner::graph_of(const std::function<std::vector<Descriptor>()>& operations) const {
  try {
    const std::vector<Descriptor> made = operations();
    Descriptor graph(cudnn_, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, std::span<const Descriptor>(made));
    if (handle_ != nullptr) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle_);
    return std::move(graph.finalize());
  } catch (const LibraryError& error) {
    refusal_ = error.what();
    return {};
  }
}

std::vector<Candidate> GraphPlanner::candidates(const std::function<std::vector<Descriptor>()>& operations,
                                                const std::function<bool(const Engine&)>& serves) const {
  const std::optional<Descriptor> graph = graph_of(operations);
  if (!graph) return {};
  std::vector<Candidate> found;
  std::set<std::string> known;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    for (const Descriptor& configuration : configurations(*graph, mode)) {
      const Engine engine = engine_of(configuration);
      if (!serves(engine) || !known.insert(engine.name).second) continue;
      found.push_back({engine.name, engine.compiles, std::make_shared<Way>(*graph, configuration), false});
    }
  }
  return found;
}

std::optional<GraphPlan> GraphPlanner::build(const Candidate& candidate) const {
  if (!candidate.saved.empty())
    if (auto plan = build(candidate, true)) return plan;
  return build(candidate, false);
}

std::optional<GraphPlan> GraphPlanner::build(const Candidate& candidate, bool saved) const {
  const auto& way = *static_cast<const Way*>(candidate.way.get());
  try {
    Descriptor plan(cudnn_, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    if (saved)
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, candidate.saved);
    else
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, way.configuration);
    if (handle_ != nullptr) plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle_);
    if (device_) plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *device_);
    plan.finalize();
    return GraphPlan(cudnn_, handle_, std::move(plan), candidate.way);
  } catch (const LibraryError& error) {
    refusal_ = error.what();
    return {};
  }
}

}  // namespace node_cudnn::cuda
