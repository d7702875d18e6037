// Checks of a node's operands and attributes: the second line of defence behind lib/ops. Back ends compile them
// in, each for the types that it computes in.
#pragma once

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"

namespace node_cudnn {

// "F" of docs/ops.md; every back end defines its own.
struct FloatTypes {
  std::string device;
  std::vector<DType> dtypes;
};
const FloatTypes& float_types();

// Sizes of an activation.
struct Dims {
  int64_t n, c, h, w;
  int64_t plane() const { return h * w; }
  int64_t pixels() const { return n * h * w; }
  int64_t size() const { return n * c * h * w; }
};

inline const ValueType& input_type(const Graph& graph, const Node& node, size_t i) {
  return graph.values.at(static_cast<size_t>(node.inputs.at(i))).type;
}
inline const ValueType& output_type(const Graph& graph, const Node& node, size_t i) {
  return graph.values.at(static_cast<size_t>(node.outputs.at(i))).type;
}
inline ValueType plain(DType dtype, Shape shape) { return {dtype, Format::plain, std::move(shape)}; }

void expect(bool holds, const std::string& what);
void expect_counts(const Node& node, size_t inputs, size_t outputs);
void expect_type(const char* role, const ValueType& type, const ValueType& expected);
void expect_float(const char* role, const ValueType& type);
Dims expect_activation(const char* role, const ValueType& type);
// The inputs or outputs from `first` on are one float32 per channel.
void expect_channel_inputs(const Graph& graph, const Node& node, size_t first, int64_t channels,
                           const std::vector<const char*>& roles);
void expect_channel_outputs(const Graph& graph, const Node& node, size_t first, int64_t channels,
                            const std::vector<const char*>& roles);

int64_t expect_integer(const Node& node, const char* key, int64_t least);
std::vector<int64_t> expect_integers(const Node& node, const char* key, size_t count, int64_t least);
double expect_number(const Node& node, const char* key, double least, double most);

// What a failed check says to people: with the op, its path and all types.
std::string message_of(const Graph& graph, const Node& node, const std::exception& error);

}  // namespace node_cudnn
