#include "program/verify.h"

#include <set>

#include "program/error.h"

namespace node_cudnn {
namespace {

constexpr int64_t most_elements = int64_t{1} << 40;
constexpr size_t most_dimensions = 8;

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorCode::graph, message); }

// Empty when the type is sound.
std::string defect(const ValueType& type) {
  const Shape& shape = type.shape;
  const std::string has = "shape " + to_string(shape) + " has ";
  if (shape.size() > most_dimensions) return has + std::to_string(shape.size()) + " dimensions; at most 8 are possible";
  if (type.format != Format::plain && shape.size() != 4) {
    return has + std::to_string(shape.size()) + " dimensions; the formats 'activation' and 'filter' have 4";
  }
  int64_t count = 1;
  for (int64_t size : shape) {
    if (size < 1) return has + "a dimension of " + std::to_string(size) + "; every dimension is 1 or more";
    if (size > most_elements / count) return has + "more than 2^40 elements";
    count *= size;
  }
  return "";
}

std::string describe(const ValueType& type) {
  const char* formats[] = {"activation", "filter", "plain"};
  return std::string(name_of(type.dtype)) + " " + to_string(type.shape) + " " + formats[static_cast<int>(type.format)];
}

class Verifier {
 public:
  Verifier(const Graph& graph, const std::vector<Variable>& variables)
      : graph_(graph), variables_(variables), written_(graph.values.size(), -1) {}

  void run() {
    for (size_t i = 0; i < graph_.values.size(); ++i) check_value(i);
    for (size_t i = 0; i < graph_.nodes.size(); ++i) check_node(i);
    for (size_t i = 0; i < graph_.values.size(); ++i) check_kept(i);
  }

 private:
  std::string name(size_t value) const {
    return "value " + std::to_string(value) + " '" + graph_.values[value].name + "'";
  }
  std::string name(const Node& node) const { return node.path.empty() ? node.op : node.op + " " + node.path; }

  void check_value(size_t index) {
    const Value& value = graph_.values[index];
    if (std::string what = defect(value.type); !what.empty()) fail(name(index) + ": " + what);
    if (value.storage == Storage::variable) check_variable(index);
  }

  void check_variable(size_t index) {
    const Value& value = graph_.values[index];
    if (value.variable < 0 || static_cast<size_t>(value.variable) >= variables_.size()) {
      fail(name(index) + ": it is variable " + std::to_string(value.variable) + ", but the state has " +
           std::to_string(variables_.size()) + " variables");
    }
    const Variable& variable = variables_[static_cast<size_t>(value.variable)];
    if (!(variable.type == value.type)) {
      fail(name(index) + ": the graph has " + describe(value.type) + ", the state's '" + variable.name + "' has " +
           describe(variable.type));
    }
    if (!used_.insert(value.variable).second) {
      fail(name(index) + ": variable '" + variable.name + "' is already another value of the graph; one value each");
    }
  }

  size_t checked(const Node& node, int value, const char* role) {
    if (value < 0 || static_cast<size_t>(value) >= graph_.values.size()) {
      fail(name(node) + ": " + role + " is value " + std::to_string(value) + ", but the graph has " +
           std::to_string(graph_.values.size()) + " values");
    }
    return static_cast<size_t>(value);
  }

  void check_node(size_t index) {
    const Node& node = graph_.nodes[index];
    if (node.op.empty()) fail("node " + std::to_string(index) + " has no op");
    for (int input : node.inputs) {
      size_t value = checked(node, input, "an input");
      if (graph_.values[value].storage == Storage::temporary && written_[value] < 0) {
        fail(name(node) + ": reads " + name(value) + " before any node has written it");
      }
    }
    for (int output : node.outputs) check_output(index, checked(node, output, "an output"));
  }

  void check_output(size_t index, size_t value) {
    const Node& node = graph_.nodes[index];
    if (graph_.values[value].storage == Storage::input) fail(name(node) + ": writes the input " + name(value));
    bool twice = graph_.values[value].storage == Storage::temporary ? written_[value] >= 0
                                                                    : written_[value] == static_cast<int>(index);
    if (twice) {
      const Node& other = graph_.nodes[static_cast<size_t>(written_[value])];
      fail(name(node) + ": writes " + name(value) + ", which " + name(other) + " has already written");
    }
    written_[value] = static_cast<int>(index);
  }

  void check_kept(size_t index) {
    const Value& value = graph_.values[index];
    if (value.keep && value.storage == Storage::temporary && written_[index] < 0) {
      fail(name(index) + ": it is kept, but no node writes it");
    }
  }

  const Graph& graph_;
  const std::vector<Variable>& variables_;
  std::vector<int> written_;  // by which node, last
  std::set<int> used_;        // variables
};

}  // namespace

void verify(const std::vector<Variable>& variables) {
  std::set<std::string> names;
  for (const Variable& variable : variables) {
    std::string what = defect(variable.type);
    if (what.empty() && !names.insert(variable.name).second) what = "another variable has the same name";
    if (!what.empty()) throw Error(ErrorCode::argument, "variable '" + variable.name + "': " + what);
  }
}

void verify(const Graph& graph, const std::vector<Variable>& variables) { Verifier(graph, variables).run(); }

}  // namespace node_cudnn
