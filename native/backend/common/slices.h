// What back ends say and ask of values inside others (program/slices.h).
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "program/graph.h"

namespace node_cudnn {

// By op: the numbers of the inputs and outputs that a kernel finds inside others.
struct SliceOperands {
  std::vector<size_t> inputs, outputs;
};
using SliceTable = std::map<std::string, SliceOperands>;

// Whether all places of a value among a node's operands are in the table.
inline bool are_listed(const SliceTable& table, const Node& node, int value) {
  const auto entry = table.find(node.op);
  const auto among = [value](const std::vector<int>& values, const std::vector<size_t>& listed) {
    for (size_t i = 0; i < values.size(); ++i)
      if (values[i] == value && std::find(listed.begin(), listed.end(), i) == listed.end()) return false;
    return true;
  };
  return entry != table.end() && among(node.inputs, entry->second.inputs) && among(node.outputs, entry->second.outputs);
}

inline bool lies_inside(const Graph& graph, int part, int whole) {
  return graph.values[static_cast<size_t>(part)].whole == whole;
}

// How many channels the whole has beside the value's own; 0 where it lies in none.
inline int64_t other_channels(const Graph& graph, int value) {
  const Value& part = graph.values.at(static_cast<size_t>(value));
  if (part.whole < 0) return 0;
  return graph.values.at(static_cast<size_t>(part.whole)).type.shape[1] - part.type.shape[1];
}

}  // namespace node_cudnn
