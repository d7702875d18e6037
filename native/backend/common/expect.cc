#include "backend/common/expect.h"

#include <algorithm>
#include <stdexcept>

namespace node_cudnn {
namespace {

std::string describe(const ValueType& type) {
  const char* format = type.format == Format::activation ? " activation "
                       : type.format == Format::filter   ? " filter "
                                                         : " ";
  return name_of(type.dtype) + std::string(format) + to_string(type.shape);
}

std::string types_of(const Graph& graph, const std::vector<int>& values) {
  std::string text;
  for (int i : values) {
    const ValueType& type = graph.values.at(static_cast<size_t>(i)).type;
    text += std::string(text.empty() ? "" : ", ") + name_of(type.dtype) + " " + to_string(type.shape);
  }
  return text;
}

}  // namespace

void expect(bool holds, const std::string& what) {
  if (!holds) throw std::invalid_argument(what);
}

void expect_counts(const Node& node, size_t inputs, size_t outputs) {
  expect(node.inputs.size() == inputs && node.outputs.size() == outputs,
         "takes " + std::to_string(inputs) + " inputs and " + std::to_string(outputs) + " outputs, not " +
             std::to_string(node.inputs.size()) + " and " + std::to_string(node.outputs.size()));
}

void expect_type(const char* role, const ValueType& type, const ValueType& expected) {
  expect(type == expected, std::string(role) + " must be " + describe(expected) + ", not " + describe(type));
}

void expect_float(const char* role, const ValueType& type) {
  const auto& [device, dtypes] = float_types();
  if (std::find(dtypes.begin(), dtypes.end(), type.dtype) != dtypes.end()) return;
  std::string names = name_of(dtypes.front());
  for (size_t i = 1; i < dtypes.size(); ++i)
    names += (i + 1 < dtypes.size() ? ", " : " and ") + std::string(name_of(dtypes[i]));
  expect(false, std::string(role) + " is " + describe(type) + ", but the device " + device + " computes in " + names +
                    "; the device reference has float64");
}

Dims expect_activation(const char* role, const ValueType& type) {
  expect(type.format == Format::activation && type.shape.size() == 4,
         std::string(role) + " must be an activation [N, C, H, W], not " + describe(type));
  expect_float(role, type);
  return {type.shape[0], type.shape[1], type.shape[2], type.shape[3]};
}

void expect_channel_inputs(const Graph& graph, const Node& node, size_t first, int64_t channels,
                           const std::vector<const char*>& roles) {
  for (size_t i = 0; i < roles.size(); ++i)
    expect_type(roles[i], input_type(graph, node, first + i), plain(DType::float32, {channels}));
}

void expect_channel_outputs(const Graph& graph, const Node& node, size_t first, int64_t channels,
                            const std::vector<const char*>& roles) {
  for (size_t i = 0; i < roles.size(); ++i)
    expect_type(roles[i], output_type(graph, node, first + i), plain(DType::float32, {channels}));
}

int64_t expect_integer(const Node& node, const char* key, int64_t least) {
  const int64_t value = node.attributes.integer(key);
  expect(value >= least, "attribute " + std::string(key) + " must be at least " + std::to_string(least) + ", not " +
                             std::to_string(value));
  return value;
}

std::vector<int64_t> expect_integers(const Node& node, const char* key, size_t count, int64_t least) {
  std::vector<int64_t> values = node.attributes.integers(key);
  const bool valid = std::all_of(values.begin(), values.end(), [least](int64_t value) { return value >= least; });
  expect(valid && values.size() == count, "attribute " + std::string(key) + " must hold " + std::to_string(count) +
                                              " integers of at least " + std::to_string(least) + ", not " +
                                              to_string(values));
  return values;
}

double expect_number(const Node& node, const char* key, double least, double most) {
  const double value = node.attributes.number(key);
  expect(value >= least && value <= most, "attribute " + std::string(key) + " must lie between " +
                                              std::to_string(least) + " and " + std::to_string(most) + ", not " +
                                              std::to_string(value));
  return value;
}

std::string message_of(const Graph& graph, const Node& node, const std::exception& error) {
  return node.op + (node.path.empty() ? "" : " " + node.path) + ": " + error.what() + " (inputs " +
         types_of(graph, node.inputs) + "; outputs " + types_of(graph, node.outputs) + ")";
}

}  // namespace node_cudnn
