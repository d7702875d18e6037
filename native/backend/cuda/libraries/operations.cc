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
  uid_offset = 'j'
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

// x · scale + shift, rectified, as the operation `made` goes on with it; in the type of x, as engines want it.
Descriptor prologue(const CudnnFunctions& cudnn, const Convolution& c, Descriptor x, std::vector<Descriptor>& made) {
  const auto channels = [&](int64_t uid) { return tensor(cudnn, uid, c.dtype, {1, c.x[1], 1, 1}); };
  const Pointwise parts[] = {{CUDNN_POINTWISE_MUL, channels(uid_scale)},
                             {CUDNN_POINTWISE_ADD, channels(uid_offset)},
                             {CUDNN_POINTWISE_RELU_FWD, {}}};
  for (const auto& [mode, operand] : parts) {
    const Descriptor next = tensor(cudnn, inner(uid_x, made.size()), c.dtype, c.x, true);
    made.push_back(pointwise(cudnn, mode, x, operand, next));
    x = next;
  }
  return x;
}

// The gradient behind the mask of relu(bn(x)), and the sums over it that the gradient of bn is made of.
std::vector<Descriptor> masked_gradient(const CudnnFunctions& cudnn, const Convolution& c) {
  const auto channels = [&](int64_t uid) { return tensor(cudnn, uid, DType::float32, {1, c.x[1], 1, 1}); };
  const Descriptor x = tensor(cudnn, uid_x, c.dtype, c.x), masked = tensor(cudnn, uid_gradient, c.dtype, c.x);
  const Descriptor weight = channels(uid_weight), mean = channels(uid_mean), invstd = channels(uid_invstd);
  const Descriptor sum = tensor(cudnn, inner(uid_gradient, 0), DType::float32, c.x, true);
  std::vector<Descriptor> made{
      convolve(cudnn, c, sum, tensor(cudnn, uid_w, c.dtype, c.w), tensor(cudnn, uid_y, c.dtype, c.y))};
  Descriptor normalised = x;
  const Pointwise parts[] = {{CUDNN_POINTWISE_SUB, mean},
                             {CUDNN_POINTWISE_MUL, invstd},
                             {CUDNN_POINTWISE_MUL, weight},
                             {CUDNN_POINTWISE_ADD, channels(uid_norm_bias)}};
  for (const auto& [mode, operand] : parts) {
    const Descriptor next = tensor(cudnn, inner(uid_x, made.size()), DType::float32, c.x, true);
    made.push_back(pointwise(cudnn, mode, normalised, operand, next));
    normalised = next;
  }
  made.push_back(relu_gradient(cudnn, sum, normalised, masked));
  const std::vector<int64_t> spare = spare_uids(c);
  Descriptor sums(cudnn, CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR);
  sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MEAN_DESC, mean)
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_INVSTD_DESC, invstd)
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_BN_SCALE_DESC, weight)
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_X_DESC, x)
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DY_DESC, masked)
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_SCALE_DESC, channels(uid_dweight))
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_BIAS_DESC, channels(uid_dbias))
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_DY_SCALE_DESC, channels(spare[0]))
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_X_SCALE_DESC, channels(spare[1]))
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_BIAS, channels(spare[2]));
  made.push_back(std::move(sums.finalize()));
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
  found.push_back(uid_w);
  if (c.bias) found.push_back(uid_bias);
  if (c.residual) found.push_back(uid_residual);
  found.push_back(uid_y);
  if (c.statistics) found.insert(found.end(), {uid_total, uid_square_total});
  return found;
}

size_t outputs_of(const Convolution& c) { return c.statistics ? 3 : 1; }

std::vector<int64_t> spare_uids(const Convolution& c) {
  if (c.pass != Pass::dgrad || !c.statistics) return {};
  return {inner(uid_spare, 0), inner(uid_spare, 1), inner(uid_spare, 2)};
}

}  // namespace node_cudnn::cuda
