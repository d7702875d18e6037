#include "backend/cuda/slices.h"

namespace node_cudnn::cuda {
namespace {

const SliceTable& table() {
  static const SliceTable table = {
      {"add", {{0, 1}, {0}}},
      {"avg_pool2d", {{}, {0}}},
      {"avg_pool2d_grad", {{0}, {}}},
      {"batch_norm", {{}, {0}}},
      {"batch_norm_add_relu", {{}, {0}}},
      {"batch_norm_add_relu_grad", {{0}, {}}},
      {"batch_norm_add_relu_mask", {{}, {0}}},
      {"batch_norm_add_relu_mask_grad", {{0}, {}}},
      {"batch_norm_grad", {{0}, {}}},
      {"batch_norm_inference", {{}, {0}}},
      {"batch_norm_inference_add_relu", {{}, {0}}},
      {"batch_norm_inference_grad", {{0}, {}}},
      {"batch_norm_inference_relu", {{}, {0}}},
      {"batch_norm_relu", {{}, {0}}},
      {"batch_norm_relu_grad", {{0}, {}}},
      {"batch_norm_summed", {{}, {0}}},
      {"batch_norm_summed_add_relu", {{}, {0}}},
      {"batch_norm_summed_add_relu_mask", {{}, {0}}},
      {"batch_norm_summed_relu", {{}, {0}}},
      {"max_pool2d", {{}, {0}}},
      {"max_pool2d_grad", {{0}, {}}},
      {"relu", {{0}, {0}}},
      {"relu_grad", {{0, 1}, {0}}},
      {"sigmoid", {{0}, {0}}},
      {"sigmoid_grad", {{0, 1}, {0}}},
  };
  return table;
}

}  // namespace

// Every pixel of the part begins where a whole vector does.
std::optional<size_t> offset_in(const ValueType& whole, const ValueType& part, int64_t first) {
  constexpr int64_t vector_bytes = 16;
  const auto size = static_cast<int64_t>(size_of(part.dtype));
  if (first * size % vector_bytes != 0 || whole.shape[1] * size % vector_bytes != 0) return std::nullopt;
  return static_cast<size_t>(first * size);
}

bool takes_slice(const Node& node, int value) { return are_listed(table(), node, value); }

bool has_slices(const Graph& graph, const Node& node) {
  const auto inside = [&](int value) { return other_channels(graph, value) > 0; };
  return std::any_of(node.inputs.begin(), node.inputs.end(), inside) ||
         std::any_of(node.outputs.begin(), node.outputs.end(), inside);
}

}  // namespace node_cudnn::cuda
