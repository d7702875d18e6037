// The table of ops: docs/ops.md, one prepare function each, in the file of its family.
#pragma once

#include "backend/reference/op.h"

namespace node_cudnn::reference {

using Prepare = Prepared (*)(const Op& op);

struct OpEntry {
  const char* name;
  Prepare prepare;
};

const std::vector<OpEntry>& op_table();

Prepared prepare_adam_update(const Op& op);
Prepared prepare_add(const Op& op);
Prepared prepare_augment(const Op& op);
Prepared prepare_avg_pool2d(const Op& op);
Prepared prepare_avg_pool2d_grad(const Op& op);
Prepared prepare_batch_norm(const Op& op);
Prepared prepare_batch_norm_relu(const Op& op);
Prepared prepare_batch_norm_add_relu(const Op& op);
Prepared prepare_batch_norm_finish(const Op& op);
Prepared prepare_batch_norm_grad(const Op& op);
Prepared prepare_batch_norm_relu_grad(const Op& op);
Prepared prepare_batch_norm_add_relu_grad(const Op& op);
Prepared prepare_batch_norm_add_relu_mask(const Op& op);
Prepared prepare_batch_norm_add_relu_mask_grad(const Op& op);
Prepared prepare_batch_norm_inference(const Op& op);
Prepared prepare_batch_norm_inference_relu(const Op& op);
Prepared prepare_batch_norm_inference_add_relu(const Op& op);
Prepared prepare_batch_norm_inference_grad(const Op& op);
Prepared prepare_batch_norm_summed(const Op& op);
Prepared prepare_batch_norm_summed_relu(const Op& op);
Prepared prepare_batch_norm_summed_add_relu(const Op& op);
Prepared prepare_batch_norm_summed_add_relu_mask(const Op& op);
Prepared prepare_batch_norm_summed_grad(const Op& op);
Prepared prepare_bias_grad(const Op& op);
Prepared prepare_cast(const Op& op);
Prepared prepare_clip_grad_norm(const Op& op);
Prepared prepare_compose_separable(const Op& op);
Prepared prepare_compose_separable_grad(const Op& op);
Prepared prepare_concat(const Op& op);
Prepared prepare_conv2d(const Op& op);
Prepared prepare_conv2d_relu(const Op& op);
Prepared prepare_conv2d_statistics(const Op& op);
Prepared prepare_conv2d_add_relu(const Op& op);
Prepared prepare_conv2d_dgrad(const Op& op);
Prepared prepare_conv2d_dgrad_statistics(const Op& op);
Prepared prepare_conv2d_wgrad(const Op& op);
Prepared prepare_dropout(const Op& op);
Prepared prepare_ema_update(const Op& op);
Prepared prepare_fill(const Op& op);
Prepared prepare_flatten(const Op& op);
Prepared prepare_fold_batch_norm(const Op& op);
Prepared prepare_gather(const Op& op);
Prepared prepare_global_avg_pool(const Op& op);
Prepared prepare_global_avg_pool_grad(const Op& op);
Prepared prepare_increment(const Op& op);
Prepared prepare_lars_update(const Op& op);
Prepared prepare_lerp(const Op& op);
Prepared prepare_lerp_grad(const Op& op);
Prepared prepare_linear(const Op& op);
Prepared prepare_linear_dgrad(const Op& op);
Prepared prepare_linear_wgrad(const Op& op);
Prepared prepare_local_response_norm(const Op& op);
Prepared prepare_local_response_norm_grad(const Op& op);
Prepared prepare_max_pool2d(const Op& op);
Prepared prepare_max_pool2d_grad(const Op& op);
Prepared prepare_mul(const Op& op);
Prepared prepare_relu(const Op& op);
Prepared prepare_relu_grad(const Op& op);
Prepared prepare_restore(const Op& op);
Prepared prepare_ring_write(const Op& op);
Prepared prepare_scaled_add_conv2d_statistics(const Op& op);
Prepared prepare_scaled_conv2d_statistics(const Op& op);
Prepared prepare_scaled_conv2d_wgrad(const Op& op);
Prepared prepare_sgd_update(const Op& op);
Prepared prepare_sigmoid(const Op& op);
Prepared prepare_sigmoid_cross_entropy(const Op& op);
Prepared prepare_sigmoid_cross_entropy_grad(const Op& op);
Prepared prepare_sigmoid_grad(const Op& op);
Prepared prepare_slice_channels(const Op& op);
Prepared prepare_snapshot(const Op& op);
Prepared prepare_softmax(const Op& op);
Prepared prepare_softmax_cross_entropy(const Op& op);
Prepared prepare_softmax_cross_entropy_grad(const Op& op);
Prepared prepare_softmax_grad(const Op& op);
Prepared prepare_subsample_pad(const Op& op);
Prepared prepare_subsample_pad_grad(const Op& op);
Prepared prepare_tanh(const Op& op);
Prepared prepare_tanh_grad(const Op& op);
Prepared prepare_topk_correct(const Op& op);
Prepared prepare_unflatten(const Op& op);
Prepared prepare_unscale(const Op& op);
Prepared prepare_update_loss_scale(const Op& op);
Prepared prepare_weighted_sum(const Op& op);

}  // namespace node_cudnn::reference
