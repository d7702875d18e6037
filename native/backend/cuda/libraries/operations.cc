#include "backend/cuda/libraries/operations.h"

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
  uid_square_total = 'q',
  uid_gradient = 'g',
  uid_weight = 'm',
  uid_norm_bias = 'n',
  uid_mean = 'o',
  uid_invstd = 'p',
  uid_dweight = 'u',
  uid_dbias = 'v',
  uid_spare = 'z',
  uid_scale = 'i',
  uid_offset = 'j',
  uid_activated = 'a'
};

// Of the i-th value inside a graph; `uid` is that of a value at its border.
int64_t inner(int64_t uid, size_t i) { return uid + 256 * static_cast<int64_t>(i + 1); }

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

struct Pointwise {
  cudnnPointwiseMode_t mode;
  std::optional<Descriptor> operand;
};

// What follows the sum of a forward convolution.
std::vector<Pointwise> epilogue(const CudnnFunctions& cudnn, const Convolution& c) {
  std::vector<Pointwise> parts;
  if (c.bias) parts.push_back({CUDNN_POINTWISE_ADD, per_channel(cudnn, uid_bias, c.dtype, c.w[0])});
  if (c.residual) parts.push_back({CUDNN_POINTWISE_ADD, tensor(cudnn, uid_residual, c.dtype, c.y)});
  if (c.relu) parts.push_back({CUDNN_POINTWISE_RELU_FWD, {}});
  return parts;
}

// The sums of every channel of y, and of its squares.
Descriptor sum_up(const CudnnFunctions& cudnn, const Convolution& c, const Descriptor& y) {
  const auto sums = [&](int64_t uid) { return per_channel(cudnn, uid, DType::float32, c.w[0]); };
  Descriptor made(cudnn, CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, CUDNN_GENSTATS_SUM_SQSUM)
      .set(CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_OPERATION_GENSTATS_XDESC, y)
      .set(CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, sums(uid_total))
      .set(CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, sums(uid_square_total));
  return std::move(made.finalize());
}

// x · scale + shift, plus the residual where there is one, rectified, as the operation `made` goes on with it: in the
// type of x, and behind a residual an output. What is before the ReLU is float32, but precompiled engines want float16.
Descriptor prologue(const CudnnFunctions& cudnn, const Convolution& c, Descriptor x, std::vector<Descriptor>& made) {
  const auto channels = [&](int64_t uid) { return per_channel(cudnn, uid, c.dtype, c.x[1]); };
  std::vector<Pointwise> parts{{CUDNN_POINTWISE_MUL, channels(uid_scale)}, {CUDNN_POINTWISE_ADD, channels(uid_offset)}};
  if (c.residual) parts.push_back({CUDNN_POINTWISE_ADD, tensor(cudnn, uid_residual, c.dtype, c.x)});
  parts.push_back({CUDNN_POINTWISE_RELU_FWD, {}});
  const DType between = c.dtype == DType::float16 ? c.dtype : DType::float32;
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool is_last = i + 1 == parts.size(), is_output = c.residual && is_last;
    const DType dtype = is_last ? c.dtype : between;
    const Descriptor next = tensor(cudnn, is_output ? uid_activated : inner(uid_x, i), dtype, c.x, !is_output);
    made.push_back(pointwise(cudnn, parts[i].mode, x, parts[i].operand, next));
    x = next;
  }
  return x;
}

Descriptor channels_of_x(const CudnnFunctions& cudnn, const Convolution& c, int64_t uid) {
  return per_channel(cudnn, uid, DType::float32, c.x[1]);
}

// The sum of every channel.
Descriptor add_up(const CudnnFunctions& cudnn, const Descriptor& x, const Descriptor& sum) {
  Descriptor kind(cudnn, CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
  kind.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, CUDNN_REDUCE_TENSOR_ADD)
      .set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
      .finalize();
  Descriptor made(cudnn, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, kind)
      .set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x)
      .set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, sum);
  return std::move(made.finalize());
}

// What the gradient of bn is made of: the sums of `masked`, and of that times the normalised x.
std::vector<Descriptor> sums_apart(const CudnnFunctions& cudnn, const Convolution& c, const Descriptor& masked,
                                   const Descriptor& normalised) {
  const Descriptor product = tensor(cudnn, inner(uid_gradient, 1), DType::float32, c.x, true);
  return {add_up(cudnn, masked, channels_of_x(cudnn, c, uid_dbias)),
          pointwise(cudnn, CUDNN_POINTWISE_MUL, masked, normalised, product),
          add_up(cudnn, product, channels_of_x(cudnn, c, uid_dweight))};
}

// The same as one operation, which precompiled engines want; they have float16 alone.
Descriptor sums_at_once(const CudnnFunctions& cudnn, const Convolution& c, const Descriptor& masked,
                        const Descriptor& x) {
  const auto channels = [&](int64_t uid) { return channels_of_x(cudnn, c, uid); };
  const std::vector<int64_t> spare = spare_uids(c);
  Descriptor sums(cudnn, CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR);
  sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MEAN_DESC, channels(uid_mean))
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_INVSTD_DESC, channels(uid_invstd))
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_BN_SCALE_DESC, channels(uid_weight))
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_X_DESC, x)
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DY_DESC, masked)
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_SCALE_DESC, channels(uid_dweight))
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_BIAS_DESC, channels(uid_dbias))
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_DY_SCALE_DESC, channels(spare[0]))
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_X_SCALE_DESC, channels(spare[1]))
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_BIAS, channels(spare[2]));
  return std::move(sums.finalize());
}

// The gradient behind the mask of relu(bn(x)), and the sums over it.
std::vector<Descriptor> masked_gradient(const CudnnFunctions& cudnn, const Convolution& c) {
  const Descriptor x = tensor(cudnn, uid_x, c.dtype, c.x), masked = tensor(cudnn, uid_gradient, c.dtype, c.x);
  const Descriptor sum = tensor(cudnn, inner(uid_gradient, 0), DType::float32, c.x, true);
  std::vector<Descriptor> made{
      convolve(cudnn, c, sum, tensor(cudnn, uid_w, c.dtype, c.w), tensor(cudnn, uid_y, c.dtype, c.y))};
  std::vector<Descriptor> stages{x};
  const std::pair<cudnnPointwiseMode_t, Uid> parts[] = {{CUDNN_POINTWISE_SUB, uid_mean},
                                                        {CUDNN_POINTWISE_MUL, uid_invstd},
                                                        {CUDNN_POINTWISE_MUL, uid_weight},
                                                        {CUDNN_POINTWISE_ADD, uid_norm_bias}};
  for (const auto& [mode, uid] : parts) {
    const Descriptor next = tensor(cudnn, inner(uid_x, made.size()), DType::float32, c.x, true);
    made.push_back(pointwise(cudnn, mode, stages.back(), channels_of_x(cudnn, c, uid), next));
    stages.push_back(next);
  }
  made.push_back(relu_gradient(cudnn, sum, stages.back(), masked));
  if (c.dtype == DType::float16) {
    made.push_back(sums_at_once(cudnn, c, masked, x));
  } else {
    const std::vector<Descriptor> sums = sums_apart(cudnn, c, masked, stages[2]);
    made.insert(made.end(), sums.begin(), sums.end());
  }
  return made;
}

}  // namespace

std::vector<Descriptor> operations(const CudnnFunctions& cudnn, const Convolution& c) {
  if (c.pass == Pass::dgrad && c.statistics) return masked_gradient(cudnn, c);
  const auto type_of = [&](Pass writer) { return c.pass == writer ? c.result : c.dtype; };
  const Descriptor x = tensor(cudnn, uid_x, type_of(Pass::dgrad), c.x);
  const Descriptor w = tensor(cudnn, uid_w, type_of(Pass::wgrad), c.w);
  const Descriptor y = tensor(cudnn, uid_y, type_of(Pass::forward), c.y);
  if (c.prologue || c.statistics) {
    std::vector<Descriptor> made;
    const Descriptor fed = c.prologue ? prologue(cudnn, c, x, made) : x;
    made.push_back(convolve(cudnn, c, fed, w, y));
    if (c.statistics) made.push_back(sum_up(cudnn, c, y));
    return made;
  }
  const std::vector<Pointwise> parts = epilogue(cudnn, c);
  if (parts.empty()) return {convolve(cudnn, c, x, w, y)};
  const auto after = [&](size_t i) {  // what stands behind the first i parts
    return i == parts.size() ? y : tensor(cudnn, inner(uid_sum, i), DType::float32, c.y, true);
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

std::vector<int64_t> uids(const Convolution& c) {
  if (c.pass == Pass::dgrad && c.statistics)
    return {uid_y, uid_w, uid_x, uid_weight, uid_norm_bias, uid_mean, uid_invstd, uid_gradient, uid_dweight, uid_dbias};
  if (c.pass == Pass::dgrad) return {uid_y, uid_w, uid_x};
  if (c.pass == Pass::wgrad && c.prologue) return {uid_x, uid_scale, uid_offset, uid_y, uid_w};
  if (c.pass == Pass::wgrad) return {uid_x, uid_y, uid_w};
  std::vector<int64_t> found{uid_x};
  if (c.prologue) found.insert(found.end(), {uid_scale, uid_offset});
  if (c.prologue && c.residual) found.push_back(uid_residual);
  found.push_back(uid_w);
  if (c.bias) found.push_back(uid_bias);
  if (c.residual && !c.prologue) found.push_back(uid_residual);
  found.push_back(uid_y);
  if (c.statistics) found.insert(found.end(), {uid_total, uid_square_total});
  if (c.residual && c.prologue) found.push_back(uid_activated);
  return found;
}

size_t outputs_of(const Convolution& c) { return (c.statistics ? 3 : 1) + (c.prologue && c.residual ? 1 : 0); }

std::vector<int64_t> spare_uids(const Convolution& c) {
  if (c.pass != Pass::dgrad || !c.statistics || c.dtype != DType::float16) return {};
  return {inner(uid_spare, 0), inner(uid_spare, 1), inner(uid_spare, 2)};
}

}  // namespace node_cudnn::cuda
