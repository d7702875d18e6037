#include "backend/cuda/ops.h"

#include <map>

namespace node_cudnn::cuda {

namespace {

const std::map<std::string, Prepare>& op_table() {
  static const std::map<std::string, Prepare> table = {
      {"adam_update", prepare_adam_update},
      {"add", prepare_add},
      {"augment", prepare_augment},
      {"avg_pool2d", prepare_avg_pool2d},
      {"avg_pool2d_grad", prepare_avg_pool2d_grad},
      {"batch_norm", prepare_batch_norm},
      {"batch_norm_add_relu", prepare_batch_norm_add_relu},
      {"batch_norm_add_relu_grad", prepare_batch_norm_add_relu_grad},
      {"batch_norm_add_relu_mask", prepare_batch_norm_add_relu_mask},
      {"batch_norm_add_relu_mask_grad", prepare_batch_norm_add_relu_mask_grad},
      {"batch_norm_finish", prepare_batch_norm_finish},
      {"batch_norm_grad", prepare_batch_norm_grad},
      {"batch_norm_inference", prepare_batch_norm_inference},
      {"batch_norm_inference_add_relu", prepare_batch_norm_inference_add_relu},
      {"batch_norm_inference_grad", prepare_batch_norm_inference_grad},
      {"batch_norm_inference_relu", prepare_batch_norm_inference_relu},
      {"batch_norm_relu", prepare_batch_norm_relu},
      {"batch_norm_relu_grad", prepare_batch_norm_relu_grad},
      {"batch_norm_summed", prepare_batch_norm_summed},
      {"batch_norm_summed_add_relu", prepare_batch_norm_summed_add_relu},
      {"batch_norm_summed_add_relu_mask", prepare_batch_norm_summed_add_relu_mask},
      {"batch_norm_summed_grad", prepare_batch_norm_summed_grad},
      {"batch_norm_summed_relu", prepare_batch_norm_summed_relu},
      {"bias_grad", prepare_bias_grad},
      {"cast", prepare_cast},
      {"clip_grad_norm", prepare_clip_grad_norm},
      {"compose_separable", prepare_compose_separable},
      {"compose_separable_grad", prepare_compose_separable_grad},
      {"concat", prepare_concat},
      {"conv2d", prepare_conv2d},
      {"conv2d_add_relu", prepare_conv2d_add_relu},
      {"conv2d_dgrad", prepare_conv2d_dgrad},
      {"conv2d_dgrad_statistics", prepare_conv2d_dgrad_statistics},
      {"conv2d_relu", prepare_conv2d_relu},
      {"conv2d_statistics", prepare_conv2d_statistics},
      {"conv2d_wgrad", prepare_conv2d_wgrad},
      {"dropout", prepare_dropout},
      {"ema_update", prepare_ema_update},
      {"fill", prepare_fill},
      {"flatten", prepare_flatten},
      {"fold_batch_norm", prepare_fold_batch_norm},
      {"gather", prepare_gather},
      {"global_avg_pool", prepare_global_avg_pool},
      {"global_avg_pool_grad", prepare_global_avg_pool_grad},
      {"increment", prepare_increment},
      {"lars_update", prepare_lars_update},
      {"lerp", prepare_lerp},
      {"lerp_grad", prepare_lerp_grad},
      {"linear", prepare_linear},
      {"linear_dgrad", prepare_linear_dgrad},
      {"linear_wgrad", prepare_linear_wgrad},
      {"local_response_norm", prepare_local_response_norm},
      {"local_response_norm_grad", prepare_local_response_norm_grad},
      {"max_pool2d", prepare_max_pool2d},
      {"max_pool2d_grad", prepare_max_pool2d_grad},
      {"mul", prepare_mul},
      {"relu", prepare_relu},
      {"relu_grad", prepare_relu_grad},
      {"restore", prepare_restore},
      {"ring_write", prepare_ring_write},
      {"scaled_add_conv2d_statistics", prepare_scaled_add_conv2d_statistics},
      {"scaled_conv2d_statistics", prepare_scaled_conv2d_statistics},
      {"scaled_conv2d_wgrad", prepare_scaled_conv2d_wgrad},
      {"sgd_update", prepare_sgd_update},
      {"sigmoid", prepare_sigmoid},
      {"sigmoid_cross_entropy", prepare_sigmoid_cross_entropy},
      {"sigmoid_cross_entropy_grad", prepare_sigmoid_cross_entropy_grad},
      {"sigmoid_grad", prepare_sigmoid_grad},
      {"slice_channels", prepare_slice_channels},
      {"snapshot", prepare_snapshot},
      {"softmax", prepare_softmax},
      {"softmax_cross_entropy", prepare_softmax_cross_entropy},
      {"softmax_cross_entropy_grad", prepare_softmax_cross_entropy_grad},
      {"softmax_grad", prepare_softmax_grad},
      {"subsample_pad", prepare_subsample_pad},
      {"subsample_pad_grad", prepare_subsample_pad_grad},
      {"tanh", prepare_tanh},
      {"tanh_grad", prepare_tanh_grad},
      {"topk_correct", prepare_topk_correct},
      {"unflatten", prepare_unflatten},
      {"unscale", prepare_unscale},
      {"update_loss_scale", prepare_update_loss_scale},
      {"weighted_sum", prepare_weighted_sum},
  };
  return table;
}

}  // namespace

Prepare find_op(const std::string& op) {
  const auto it = op_table().find(op);
  return it == op_table().end() ? nullptr : it->second;
}

std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const auto& [name, prepare] : op_table()) names.push_back(name);
  return names;
}

}  // namespace node_cudnn::cuda
