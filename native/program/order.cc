#include "program/order.h"

#include <algorithm>

namespace node_cudnn {

std::vector<int> live_nodes(const Graph& graph) {
  std::vector<bool> wanted;
  for (const Value& value : graph.values) wanted.push_back(value.keep || value.storage == Storage::variable);
  std::vector<int> live;
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    auto is_wanted = [&](int value) { return wanted[static_cast<size_t>(value)]; };
    if (std::none_of(node.outputs.begin(), node.outputs.end(), is_wanted)) continue;
    for (int input : node.inputs) wanted[static_cast<size_t>(input)] = true;
    live.push_back(static_cast<int>(i));
  }
  std::reverse(live.begin(), live.end());
  return live;
}

}  // namespace node_cudnn
