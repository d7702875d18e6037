#include "backend/cuda/libraries/pooling.h"

namespace node_cudnn::cuda {

namespace {

enum Uid : int64_t { uid_x = 'x', uid_y = 'y', uid_index = 'i' };

cudnnResampleMode_t mode_of(const Pooling& p) {
  if (p.maximum) return CUDNN_RESAMPLE_MAXPOOL;
  return p.count_padding ? CUDNN_RESAMPLE_AVGPOOL_INCLUDE_PADDING : CUDNN_RESAMPLE_AVGPOOL_EXCLUDE_PADDING;
}

Descriptor geometry(const CudnnFunctions& cudnn, const Pooling& p) {
  const std::array<int64_t, 2> before = {p.padding[0], p.padding[1]}, after = {p.padding[2], p.padding[3]};
  Descriptor made(cudnn, CUDNN_BACKEND_RESAMPLE_DESCRIPTOR);
  made.set(CUDNN_ATTR_RESAMPLE_MODE, CUDNN_TYPE_RESAMPLE_MODE, mode_of(p))
      .set(CUDNN_ATTR_RESAMPLE_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_RESAMPLE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, CUDNN_PROPAGATE_NAN)
      .set(CUDNN_ATTR_RESAMPLE_PADDING_MODE, CUDNN_TYPE_PADDING_MODE, p.maximum ? CUDNN_NEG_INF_PAD : CUDNN_ZERO_PAD)
      .set(CUDNN_ATTR_RESAMPLE_SPATIAL_DIMS, int64_t{2})
      .set(CUDNN_ATTR_RESAMPLE_WINDOW_DIMS, p.kernel)
      .set(CUDNN_ATTR_RESAMPLE_STRIDES, p.stride)
      .set(CUDNN_ATTR_RESAMPLE_PRE_PADDINGS, before)
      .set(CUDNN_ATTR_RESAMPLE_POST_PADDINGS, after);
  return std::move(made.finalize());
}

Descriptor forward(const CudnnFunctions& cudnn, const Pooling& p) {
  Descriptor made(cudnn, CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_DESC, geometry(cudnn, p))
      .set(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_XDESC, tensor(cudnn, uid_x, p.dtype, p.x))
      .set(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC, tensor(cudnn, uid_y, p.dtype, p.y));
  if (p.maximum) made.set(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC, tensor(cudnn, uid_index, DType::uint8, p.y));
  return std::move(made.finalize());
}

Descriptor backward(const CudnnFunctions& cudnn, const Pooling& p) {
  Descriptor made(cudnn, CUDNN_BACKEND_OPERATION_RESAMPLE_BWD_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DESC, geometry(cudnn, p))
      .set(CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DXDESC, tensor(cudnn, uid_x, p.dtype, p.x))
      .set(CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DYDESC, tensor(cudnn, uid_y, p.dtype, p.y));
  if (p.maximum) made.set(CUDNN_ATTR_OPERATION_RESAMPLE_BWD_IDXDESC, tensor(cudnn, uid_index, DType::uint8, p.y));
  return std::move(made.finalize());
}

std::vector<int64_t> uids(const Pooling& p) {
  if (p.backward) return p.maximum ? std::vector<int64_t>{uid_y, uid_index, uid_x} : std::vector<int64_t>{uid_y, uid_x};
  return p.maximum ? std::vector<int64_t>{uid_x, uid_y, uid_index} : std::vector<int64_t>{uid_x, uid_y};
}

}  // namespace

std::vector<Candidate> candidates(const GraphPlanner& planner, const Pooling& p) {
  const CudnnFunctions& cudnn = planner.cudnn();
  const auto operations = [&] { return std::vector{p.backward ? backward(cudnn, p) : forward(cudnn, p)}; };
  return planner.candidates(operations, [&](const Engine& engine) {
    return p.dtype != DType::float32 || !engine.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
  });
}

std::unique_ptr<Plan> build(const GraphPlanner& planner, const Pooling& p, const Candidate& candidate) {
  auto plan = planner.build(candidate);
  if (!plan) return nullptr;
  return std::make_unique<OperandPlan>(std::move(*plan), uids(p), p.maximum && !p.backward ? 2 : 1);
}

}  // namespace node_cudnn::cuda
