#include "program/slices.h"

#include <algorithm>

namespace node_cudnn {
namespace {

// A value that a node would copy, and where.
struct Copy {
  int part, whole;
  int64_t first;
};

// Empty where the graph is wrong, which prepare() will say.
std::vector<Copy> copies_of(const Graph& graph, const Node& node) {
  std::vector<Copy> copies;
  if (node.op == "concat" && node.outputs.size() == 1) {
    int64_t first = 0;
    for (int input : node.inputs) {
      const Shape& shape = graph.values[static_cast<size_t>(input)].type.shape;
      if (shape.size() != 4) return {};
      copies.push_back({input, node.outputs[0], first});
      first += shape[1];
    }
  }
  if (node.op == "slice_channels" && node.inputs.size() == 1 && node.outputs.size() == 1) {
    const auto begin = node.attributes.entries().find("begin");
    if (begin == node.attributes.entries().end()) return {};
    const double* first = std::get_if<double>(&begin->second);
    if (first == nullptr || !(*first >= 0 && *first < 1e9) || std::trunc(*first) != *first) return {};
    copies.push_back({node.outputs[0], node.inputs[0], static_cast<int64_t>(*first)});
  }
  return copies;
}

bool fits(const ValueType& part, const ValueType& whole, int64_t first) {
  if (part.format != Format::activation || whole.format != Format::activation || part.dtype != whole.dtype)
    return false;
  const Shape &p = part.shape, &w = whole.shape;
  return p[0] == w[0] && p[2] == w[2] && p[3] == w[3] && first <= w[1] - p[1];
}

class Placing {
 public:
  Placing(Graph& graph, const std::vector<int>& live, const Backend& backend)
      : graph_(graph), live_(live), backend_(backend), is_whole_(graph.values.size(), false) {}

  void run() {
    for (int index : live_) {
      const Node& node = graph_.nodes[static_cast<size_t>(index)];
      for (const Copy& copy : copies_of(graph_, node)) {
        if (can_stay(node, copy)) place(copy);
      }
    }
  }

 private:
  Value& value(int index) { return graph_.values[static_cast<size_t>(index)]; }

  bool can_stay(const Node& node, const Copy& copy) {
    const Value &part = value(copy.part), &whole = value(copy.whole);
    const bool apart = part.whole < 0 && whole.whole < 0 && !is_whole_[static_cast<size_t>(copy.part)];
    const bool temporary = part.storage == Storage::temporary && whole.storage == Storage::temporary && !part.keep;
    if (!apart || !temporary || !fits(part.type, whole.type, copy.first)) return false;
    if (std::count(node.inputs.begin(), node.inputs.end(), copy.part) > 1) return false;
    return backend_.offset_in(whole.type, part.type, copy.first) && all_take(node, copy.part);
  }

  bool all_take(const Node& copier, int part) const {
    return std::all_of(live_.begin(), live_.end(), [&](int index) {
      const Node& node = graph_.nodes[static_cast<size_t>(index)];
      const auto has = [&](const std::vector<int>& values) {
        return std::find(values.begin(), values.end(), part) != values.end();
      };
      return &node == &copier || (!has(node.inputs) && !has(node.outputs)) || takes(node, part);
    });
  }

  bool takes(const Node& node, int part) const {
    try {
      return backend_.takes_slice(graph_, node, part);
    } catch (const std::logic_error&) {  // the node is wrong, which prepare() will say
      return false;
    }
  }

  void place(const Copy& copy) {
    value(copy.part).whole = copy.whole;
    value(copy.part).first_channel = copy.first;
    is_whole_[static_cast<size_t>(copy.whole)] = true;
  }

  Graph& graph_;
  const std::vector<int>& live_;
  const Backend& backend_;
  std::vector<bool> is_whole_;
};

}  // namespace

void place_slices(Graph& graph, const std::vector<int>& live, const Backend& backend) {
  if (graph.slices) Placing(graph, live, backend).run();
}

}  // namespace node_cudnn
