#include "backend/cuda/ops.h"

#include <map>

namespace node_cudnn::cuda {

namespace {

const std::map<std::string, Prepare>& op_table() {
  static const std::map<std::string, Prepare> table = {
      {"conv2d", prepare_conv2d}, {"conv2d_dgrad", prepare_conv2d_dgrad}, {"conv2d_wgrad", prepare_conv2d_wgrad},
      {"linear", prepare_linear}, {"linear_dgrad", prepare_linear_dgrad}, {"linear_wgrad", prepare_linear_wgrad},
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
