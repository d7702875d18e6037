// One function per op of docs/ops.md, grouped by the file that defines it.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "backend/cuda/cuda.h"

namespace node_cudnn::cuda {

std::vector<std::string> op_names();

using PrepareFunction = std::remove_pointer_t<Prepare>;

PrepareFunction prepare_adam_update;
PrepareFunction prepare_add;
PrepareFunction prepare_augment;
PrepareFunction prepare_batch_norm, prepare_batch_norm_relu, prepare_batch_norm_add_relu;
PrepareFunction prepare_batch_norm_grad, prepare_batch_norm_relu_grad, prepare_batch_norm_add_relu_grad;
PrepareFunction prepare_batch_norm_finish;
PrepareFunction prepare_batch_norm_inference, prepare_batch_norm_inference_relu, prepare_batch_norm_inference_add_relu;
PrepareFunction prepare_batch_norm_inference_grad;
PrepareFunction prepare_batch_norm_summed, prepare_batch_norm_summed_relu, prepare_batch_norm_summed_add_relu;
PrepareFunction prepare_batch_norm_summed_grad;
PrepareFunction prepare_bias_grad;
PrepareFunction prepare_cast;
PrepareFunction prepare_clip_grad_norm;
PrepareFunction prepare_compose_separable, prepare_compose_separable_grad;
PrepareFunction prepare_concat, prepare_slice_channels;
PrepareFunction prepare_conv2d, prepare_conv2d_relu, prepare_conv2d_add_relu, prepare_conv2d_statistics;
PrepareFunction prepare_conv2d_dgrad, prepare_conv2d_dgrad_statistics, prepare_conv2d_wgrad;
PrepareFunction prepare_dropout;
PrepareFunction prepare_ema_update;
PrepareFunction prepare_fill;
PrepareFunction prepare_flatten, prepare_unflatten;
PrepareFunction prepare_fold_batch_norm;
PrepareFunction prepare_gather;
PrepareFunction prepare_lars_update;
PrepareFunction prepare_lerp, prepare_lerp_grad;
PrepareFunction prepare_linear, prepare_linear_dgrad, prepare_linear_wgrad;
PrepareFunction prepare_local_response_norm, prepare_local_response_norm_grad;
PrepareFunction prepare_softmax_cross_entropy, prepare_softmax_cross_entropy_grad;
PrepareFunction prepare_unscale, prepare_update_loss_scale;
PrepareFunction prepare_topk_correct, prepare_ring_write, prepare_increment;
PrepareFunction prepare_mul;
PrepareFunction prepare_max_pool2d, prepare_max_pool2d_grad;
PrepareFunction prepare_avg_pool2d, prepare_avg_pool2d_grad;
PrepareFunction prepare_global_avg_pool, prepare_global_avg_pool_grad;
PrepareFunction prepare_relu, prepare_relu_grad;
PrepareFunction prepare_scaled_conv2d_statistics, prepare_scaled_conv2d_wgrad;
PrepareFunction prepare_sgd_update;
PrepareFunction prepare_sigmoid, prepare_sigmoid_grad;
PrepareFunction prepare_sigmoid_cross_entropy, prepare_sigmoid_cross_entropy_grad;
PrepareFunction prepare_snapshot, prepare_restore;
PrepareFunction prepare_softmax, prepare_softmax_grad;
PrepareFunction prepare_subsample_pad, prepare_subsample_pad_grad;
PrepareFunction prepare_tanh, prepare_tanh_grad;
PrepareFunction prepare_weighted_sum;

}  // namespace node_cudnn::cuda
