#include "backend/cuda/libraries/convolution.h"

#include <algorithm>
#include <set>

namespace node_cudnn::cuda {

namespace {

enum Uid : int64_t {
  uid_x = 'x',
  uid_w = 'w',
  uid_y = 'y',
  uid_bias = 'b',
  uid_residual = 'r',
  uid_sum = 's',
  uid_total = 't',
  uid_square_total = 'q'
};

cudnnDataType_t data_type(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return CUDNN_DATA_FLOAT;
    case DType::float16:
      return CUDNN_DATA_HALF;
    case DType::bfloat16:
      return CUDNN_DATA_BFLOAT16;
    default:
      throw std::invalid_argument(std::string("cuDNN convolves no ") + name_of(dtype));
  }
}

// Dimensions are logical; the channels lie innermost.
Descriptor tensor(const CudnnFunctions& cudnn, int64_t uid, DType dtype, const std::array<int64_t, 4>& shape,
                  bool is_virtual = false) {
  const auto [n, c, h, w] = shape;
  const std::array<int64_t, 4> strides = {h * w * c, 1, w * c, c};
  Descriptor made(cudnn, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  made.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, uid)
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, data_type(dtype))
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, shape)
      .set(CUDNN_ATTR_TENSOR_STRIDES, strides)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, int64_t{256})
      .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, is_virtual);
  return std::move(made.finalize());
}

Descriptor geometry(const CudnnFunctions& cudnn, const Convolution& c) {
  const std::array<int64_t, 2> before = {c.padding[0], c.padding[1]}, after = {c.padding[2], c.padding[3]};
  Descriptor made(cudnn, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  made.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2})
      .set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, CUDNN_CROSS_CORRELATION)
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, before)
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, after)
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, c.stride)
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, c.dilation);
  return std::move(made.finalize());
}

// The names of one pass's attributes.
struct Names {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t x, w, y, geometry, alpha, beta;
};

Names names(Pass pass) {
  switch (pass) {
    case Pass::forward:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
    case Pass::dgrad:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case Pass::wgrad:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
  }
  throw std::invalid_argument("unknown pass");
}

Descriptor convolve(const CudnnFunctions& cudnn, const Convolution& c, const Descriptor& x, const Descriptor& w,
                    const Descriptor& y) {
  const Names n = names(c.pass);
  Descriptor made(cudnn, n.operation);
  made.set(n.x, x).set(n.w, w).set(n.y, y).set(n.geometry, geometry(cudnn, c)).set(n.alpha, 1.0).set(n.beta, 0.0);
  return std::move(made.finalize());
}

// y = mode(x, [operand]), element by element.
Descriptor pointwise(const CudnnFunctions& cudnn, cudnnPointwiseMode_t mode, const Descriptor& x,
                     const std::optional<Descriptor>& operand, const Descriptor& y) {
  Descriptor kind(cudnn, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  kind.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode)
      .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
      .finalize();
  Descriptor made(cudnn, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, kind)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  if (operand) made.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *operand);
  return std::move(made.finalize());
}

struct Pointwise {
  cudnnPointwiseMode_t mode;
  std::optional<Descriptor> operand;
};

// What follows the sum of a forward convolution.
std::vector<Pointwise> epilogue(const CudnnFunctions& cudnn, const Convolution& c) {
  std::vector<Pointwise> parts;
  if (c.bias) parts.push_back({CUDNN_POINTWISE_ADD, tensor(cudnn, uid_bias, c.dtype, {1, c.w[0], 1, 1})});
  if (c.residual) parts.push_back({CUDNN_POINTWISE_ADD, tensor(cudnn, uid_residual, c.dtype, c.y)});
  if (c.relu) parts.push_back({CUDNN_POINTWISE_RELU_FWD, {}});
  return parts;
}

// The sums of every channel of y, and of its squares.
Descriptor sum_up(const CudnnFunctions& cudnn, const Convolution& c, const Descriptor& y) {
  const std::array<int64_t, 4> channels = {1, c.w[0], 1, 1};
  Descriptor made(cudnn, CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, CUDNN_GENSTATS_SUM_SQSUM)
      .set(CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_OPERATION_GENSTATS_XDESC, y)
      .set(CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, tensor(cudnn, uid_total, DType::float32, channels))
      .set(CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, tensor(cudnn, uid_square_total, DType::float32, channels));
  return std::move(made.finalize());
}

std::vector<Descriptor> operations(const CudnnFunctions& cudnn, const Convolution& c) {
  const auto type_of = [&](Pass writer) { return c.pass == writer ? c.result : c.dtype; };
  const Descriptor x = tensor(cudnn, uid_x, type_of(Pass::dgrad), c.x);
  const Descriptor w = tensor(cudnn, uid_w, type_of(Pass::wgrad), c.w);
  const Descriptor y = tensor(cudnn, uid_y, type_of(Pass::forward), c.y);
  if (c.statistics) return {convolve(cudnn, c, x, w, y), sum_up(cudnn, c, y)};
  const std::vector<Pointwise> parts = epilogue(cudnn, c);
  if (parts.empty()) return {convolve(cudnn, c, x, w, y)};
  const auto after = [&](size_t i) {  // what stands behind the first i parts
    return i == parts.size() ? y : tensor(cudnn, uid_sum + 256 * static_cast<int64_t>(i), DType::float32, c.y, true);
  };
  Descriptor sum = after(0);
  std::vector<Descriptor> made{convolve(cudnn, c, x, w, sum)};
  for (size_t i = 0; i < parts.size(); ++i) {
    const Descriptor next = after(i + 1);
    made.push_back(pointwise(cudnn, parts[i].mode, sum, parts[i].operand, next));
    sum = next;
  }
  return made;
}

// The tensors in the order of a node's inputs and outputs.
std::vector<int64_t> uids(const Convolution& c) {
  if (c.pass == Pass::dgrad) return {uid_y, uid_w, uid_x};
  if (c.pass == Pass::wgrad) return {uid_x, uid_y, uid_w};
  std::vector<int64_t> found{uid_x, uid_w};
  if (c.bias) found.push_back(uid_bias);
  if (c.residual) found.push_back(uid_residual);
  found.push_back(uid_y);
  if (c.statistics) found.insert(found.end(), {uid_total, uid_square_total});
  return found;
}

size_t outputs_of(const Convolution& c) { return c.statistics ? 3 : 1; }

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
