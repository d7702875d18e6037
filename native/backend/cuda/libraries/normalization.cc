#include "backend/cuda/libraries/normalization.h"

#include "program/memory.h"

namespace node_cudnn::cuda {

namespace {

enum Uid : int64_t {
  uid_x = 'x',
  uid_y = 'y',
  uid_residual = 'r',
  uid_weight = 'w',
  uid_bias = 'b',
  uid_mean = 'm',
  uid_invstd = 'i',
  uid_epsilon = 'e',
  uid_zero = '0',
  uid_dy = 'd',
  uid_dx = 'D',
  uid_dresidual = 'R',
  uid_dweight = 'W',
  uid_dbias = 'B',
  uid_normalised = 'n',
  uid_sum = 's',
  uid_mask = '>'
};

// The tensors that the forms share.
struct Tensors {
  const CudnnFunctions& cudnn;
  const Normalization& n;

  Descriptor activation(Uid uid) const { return tensor(cudnn, uid, n.dtype, n.x); }
  Descriptor channels(Uid uid) const { return per_channel(cudnn, uid, DType::float32, n.x[1]); }
  Descriptor inside(Uid uid, cudnnDataType_t type = CUDNN_DATA_FLOAT) const {
    return tensor(cudnn, uid, type, n.x, true);
  }
};

Descriptor normalise(const Tensors& t, cudnnBackendNormFwdPhase_t phase, const Descriptor& y) {
  Descriptor made(t.cudnn, CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_TYPE_NORM_MODE, CUDNN_BATCH_NORM)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_TYPE_NORM_FWD_PHASE, phase)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, t.activation(uid_x))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, t.channels(uid_mean))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, t.channels(uid_invstd))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, t.channels(uid_weight))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, t.channels(uid_bias))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, y);
  if (phase == CUDNN_NORM_FWD_TRAINING)
    made.set(CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, scalar(t.cudnn, uid_epsilon));
  return std::move(made.finalize());
}

std::vector<Descriptor> forward(const Tensors& t) {
  const Descriptor y = t.activation(uid_y);
  if (!t.n.relu) return {normalise(t, CUDNN_NORM_FWD_TRAINING, y)};
  const Descriptor normalised = t.inside(uid_normalised);
  std::vector<Descriptor> made{normalise(t, CUDNN_NORM_FWD_TRAINING, normalised)};
  Descriptor sum = normalised;
  if (t.n.residual) {
    sum = t.inside(uid_sum);
    made.push_back(pointwise(t.cudnn, CUDNN_POINTWISE_ADD, normalised, t.activation(uid_residual), sum));
  }
  made.push_back(pointwise(t.cudnn, CUDNN_POINTWISE_RELU_FWD, sum, {}, y));
  return made;
}

Descriptor gradients(const Tensors& t, const Descriptor& dy) {
  Descriptor made(t.cudnn, CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_TYPE_NORM_MODE, CUDNN_BATCH_NORM)
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, t.activation(uid_x))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, t.channels(uid_mean))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, t.channels(uid_invstd))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, t.channels(uid_weight))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, dy)
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, t.channels(uid_dweight))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, t.channels(uid_dbias))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, t.activation(uid_dx));
  return std::move(made.finalize());
}

// cuDNN has engines for a gradient behind a ReLU whose input is computed again, and behind a product with a mask; in
// both, what enters the gradient has the type of dy. It has none for the ReLU's gradient from y, so the mask is y > 0.
std::vector<Descriptor> backward(const Tensors& t) {
  const Descriptor dy = t.activation(uid_dy);
  if (t.n.residual) {
    const Descriptor mask = t.inside(uid_mask, CUDNN_DATA_BOOLEAN), masked = t.activation(uid_dresidual);
    const Descriptor zero = tensor(t.cudnn, uid_zero, t.n.dtype, {1, 1, 1, 1});
    return {pointwise(t.cudnn, CUDNN_POINTWISE_CMP_GT, t.activation(uid_y), zero, mask),
            pointwise(t.cudnn, CUDNN_POINTWISE_MUL, dy, mask, masked), gradients(t, masked)};
  }
  if (!t.n.relu) return {gradients(t, dy)};
  const Descriptor again = t.inside(uid_normalised), masked = t.inside(uid_mask, data_type(t.n.dtype));
  return {normalise(t, CUDNN_NORM_FWD_INFERENCE, again), relu_gradient(t.cudnn, dy, again, masked),
          gradients(t, masked)};
}

std::vector<int64_t> inputs_of(const Normalization& n) {
  if (!n.backward && n.residual) return {uid_x, uid_residual, uid_weight, uid_bias};
  if (!n.backward) return {uid_x, uid_weight, uid_bias};
  if (n.residual) return {uid_dy, uid_x, uid_y, uid_weight, uid_mean, uid_invstd};
  if (n.relu) return {uid_dy, uid_x, uid_weight, uid_bias, uid_mean, uid_invstd};
  return {uid_dy, uid_x, uid_weight, uid_mean, uid_invstd};
}

std::vector<int64_t> outputs_of(const Normalization& n) {
  if (!n.backward) return {uid_y, uid_mean, uid_invstd};
  if (n.residual) return {uid_dx, uid_dresidual, uid_dweight, uid_dbias};
  return {uid_dx, uid_dweight, uid_dbias};
}

class NormalizationPlan final : public Plan {
 public:
  NormalizationPlan(GraphPlan plan, const Normalization& n)
      : plan_(std::move(plan)),
        inputs_(inputs_of(n)),
        outputs_(outputs_of(n)),
        is_forward_(!n.backward),
        compares_(n.backward && n.residual),
        epsilon_(n.epsilon) {}

  size_t workspace_bytes() const override { return zero_bytes() + plan_.workspace_bytes(); }
  std::string saved() const override { return plan_.saved(); }

  void run(cudaStream_t stream, const Arguments& a) override {
    std::vector<Binding> bindings;
    for (size_t i = 0; i < inputs_.size(); ++i) bindings.push_back({inputs_[i], a.inputs[i]});
    for (size_t i = 0; i < outputs_.size(); ++i) bindings.push_back({outputs_[i], a.outputs[i]});
    if (is_forward_) bindings.push_back({uid_epsilon, &epsilon_});
    if (compares_) {
      check(cudaMemsetAsync(a.workspace, 0, zero_bytes(), stream), "cudaMemsetAsync");
      bindings.push_back({uid_zero, a.workspace});
    }
    plan_.run(stream, bindings, static_cast<std::byte*>(a.workspace) + zero_bytes());
  }

 private:
  // What y is compared with lies at the start of the workspace.
  size_t zero_bytes() const { return compares_ ? align(sizeof(float)) : 0; }

  GraphPlan plan_;
  std::vector<int64_t> inputs_, outputs_;
  bool is_forward_, compares_;
  float epsilon_;
};

}  // namespace

std::vector<Candidate> candidates(const GraphPlanner& planner, const Normalization& n) {
  const Tensors tensors{planner.cudnn(), n};
  return planner.candidates([&] { return n.backward ? backward(tensors) : forward(tensors); },
                            [](const Engine&) { return true; });
}

std::unique_ptr<Plan> build(const GraphPlanner& planner, const Normalization& n, const Candidate& candidate) {
  auto plan = planner.build(candidate);
  return plan ? std::make_unique<NormalizationPlan>(std::move(*plan), n) : nullptr;
}

}  // namespace node_cudnn::cuda
