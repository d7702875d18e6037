#include "backend/cpu/slices.h"

#include "backend/common/slices.h"
#include "backend/cpu/winograd.h"

namespace node_cudnn::cpu {
namespace {

// Where images lie apart.
const SliceTable& table() {
  static const SliceTable table = {
      {"add", {{0, 1}, {0}}},
      {"avg_pool2d", {{0}, {0}}},
      {"avg_pool2d_grad", {{0}, {0}}},
      {"batch_norm", {{}, {0}}},
      {"batch_norm_add_relu", {{}, {0}}},
      {"batch_norm_add_relu_grad", {{0}, {}}},
      {"batch_norm_grad", {{0}, {}}},
      {"batch_norm_inference", {{0}, {0}}},
      {"batch_norm_inference_add_relu", {{0, 1}, {0}}},
      {"batch_norm_inference_grad", {{0}, {0}}},
      {"batch_norm_inference_relu", {{0}, {0}}},
      {"batch_norm_relu", {{}, {0}}},
      {"batch_norm_relu_grad", {{0}, {}}},
      {"conv2d_relu", {{}, {0}}},
      {"max_pool2d", {{0}, {0}}},
      {"max_pool2d_grad", {{0}, {0}}},
      {"relu", {{0}, {0}}},
      {"relu_grad", {{0, 1}, {0}}},
      {"sigmoid", {{0}, {0}}},
      {"sigmoid_grad", {{0, 1}, {0}}},
  };
  return table;
}

std::vector<int64_t> gaps_of(const Graph& graph, const std::vector<int>& values) {
  std::vector<int64_t> gaps;
  for (int value : values) {
    const auto size = static_cast<int64_t>(size_of(graph.values.at(static_cast<size_t>(value)).type.dtype));
    gaps.push_back(gap_of(graph, value) * size);
  }
  return gaps;
}

}  // namespace

// Both in equal blocks, and the part in whole ones.
std::optional<size_t> offset_in(const Cpu& cpu, const ValueType& whole, const ValueType& part, int64_t first) {
  const Layout outer = activation_layout(cpu, whole.shape), inner = activation_layout(cpu, part.shape);
  if (outer.block != inner.block || first % outer.block != 0) return std::nullopt;
  return static_cast<size_t>(first * outer.h * outer.w) * size_of(part.dtype);
}

// A single image has nothing to be distant from. oneDNN's convolutions would reorder, which is another copy.
bool takes_slice(const Cpu& cpu, const Graph& graph, const Node& node, int value) {
  if (graph.values[static_cast<size_t>(value)].type.shape[0] == 1) return true;
  if (node.op == "conv2d_relu" && !winograd_serves_conv2d(cpu, graph, node)) return false;
  return are_listed(table(), node, value);
}

int64_t gap_of(const Graph& graph, int value) {
  const int64_t others = other_channels(graph, value);
  if (others == 0) return 0;
  const Shape& shape = graph.values[static_cast<size_t>(value)].type.shape;
  return others * shape[2] * shape[3];
}

Gaps::Gaps(const Graph& graph, const Node& node)
    : inputs_(gaps_of(graph, node.inputs)), outputs_(gaps_of(graph, node.outputs)) {
  for (const auto* gaps : {&inputs_, &outputs_})
    for (int64_t gap : *gaps) none_ = none_ && gap == 0;
}

Gaps::Shifted::Shifted(const Gaps& gaps, const Arguments& a, int64_t image) : workspace(a.workspace) {
  for (size_t i = 0; i < gaps.inputs_.size(); ++i)
    inputs.at(i) = static_cast<char*>(a.inputs[i]) + image * gaps.inputs_[i];
  for (size_t i = 0; i < gaps.outputs_.size(); ++i)
    outputs.at(i) = static_cast<char*>(a.outputs[i]) + image * gaps.outputs_[i];
}

}  // namespace node_cudnn::cpu
