// Steps for the tests of the planner, drawn at random.
#pragma once

#include <algorithm>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "program/memory.h"
#include "program/planner.h"

namespace node_cudnn::planned {

struct Step {
  std::vector<ArenaValue> values;
  std::vector<ArenaNode> nodes;

  int add(size_t bytes, bool input = false) {
    values.push_back({bytes, true, input, false});
    return static_cast<int>(values.size()) - 1;
  }
};

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  size_t below(size_t n) { return engine_() % n; }
  bool chance(double p) { return std::uniform_real_distribution<>(0, 1)(engine_) < p; }

 private:
  std::mt19937 engine_;
};

// Anything that the invariants allow, variables and dead outputs included.
inline Step arbitrary_step(Random& random) {
  Step step;
  size_t sizes = 1 + random.below(6);
  auto size = [&] { return size_t{1} << (4 + random.below(sizes) * 2); };
  for (size_t i = random.below(4); i-- > 0;) step.add(size(), true);
  if (random.chance(0.5)) {
    step.add(size());
    step.values.back().in_arena = false;
  }
  for (size_t i = 1 + random.below(40); i-- > 0;) {
    ArenaNode node;
    size_t known = step.values.size();
    for (size_t n = known == 0 ? 0 : random.below(4); n-- > 0;) {
      size_t back = random.chance(0.7) ? std::min<size_t>(known, 5) : known;
      node.inputs.push_back(static_cast<int>(known - 1 - random.below(back)));
    }
    for (size_t n = 1 + random.below(3); n-- > 0;) node.outputs.push_back(step.add(size()));
    for (size_t n = random.below(4); n-- > 0 && !node.inputs.empty();) {
      node.in_place.emplace_back(random.below(node.outputs.size()), random.below(node.inputs.size()));
    }
    if (random.chance(0.3)) node.workspace_bytes = size();
    step.nodes.push_back(node);
  }
  for (ArenaValue& value : step.values) value.keep = random.chance(0.1);
  return step;
}

// The same with values inside others: some of them written before the whole by other nodes, some cut out of it, which
// any node may read and name for its in-place outputs.
class SlicedStep {
 public:
  explicit SlicedStep(Random& random) : random_(random), step_(arbitrary_step(random)) {}

  Step make() {
    std::vector<ArenaNode> nodes;
    for (const ArenaNode& node : step_.nodes) {
      nodes.push_back(node);
      for (int output : node.outputs) known_.push_back(output);
      if (random_.chance(0.3)) nodes.push_back(concatenation());
      if (random_.chance(0.3)) cut(known_[random_.below(known_.size())], nodes);
      if (random_.chance(0.5)) nodes.push_back(reader());
    }
    step_.nodes = nodes;
    return step_;
  }

 private:
  ArenaValue& value(int index) { return step_.values[static_cast<size_t>(index)]; }

  int add(size_t bytes) {
    known_.push_back(step_.add(bytes));
    return known_.back();
  }

  ArenaNode concatenation() {
    ArenaNode node;
    size_t bytes = 0;
    for (int part : known_) {
      if (value(part).whole >= 0 || wholes_.count(part) || value(part).keep || !random_.chance(0.3)) continue;
      node.inputs.push_back(part);
      value(part).whole = static_cast<int>(step_.values.size());
      value(part).whole_offset = bytes;
      bytes += align(value(part).bytes);
    }
    node.outputs = {add(bytes + (bytes == 0 || random_.chance(0.3) ? 512 : 0))};
    if (!node.inputs.empty()) wholes_.insert(node.outputs[0]);
    return node;
  }

  void cut(int whole, std::vector<ArenaNode>& nodes) {
    if (value(whole).whole >= 0) return;
    wholes_.insert(whole);
    for (size_t offset = 0; offset < align(value(whole).bytes); offset += alignment) {
      int part = add(alignment);
      value(part).whole = whole;
      value(part).whole_offset = offset;
      nodes.push_back({{whole}, {part}, {}});
      if (random_.chance(0.3)) return;
    }
  }

  ArenaNode reader() {
    ArenaNode node;
    for (size_t n = 1 + random_.below(3); n-- > 0;) {
      int input = known_[known_.size() - 1 - random_.below(std::min<size_t>(known_.size(), 6))];
      node.in_place.emplace_back(0, static_cast<int>(node.inputs.size()));
      node.inputs.push_back(input);
    }
    node.outputs = {add(value(node.inputs[0]).bytes)};
    return node;
  }

  Random& random_;
  Step step_;
  std::vector<int> known_;
  std::set<int> wholes_;
};

// The family in which the peak is held against the lower bound: one training step of a random residual network. Stages
// halve the map and double the channels; a block is two or three layers of convolution, normalisation and ReLU with a
// skip; the backward nodes read what the forward nodes wrote, and every weight gradient waits for the update.
class TrainingStep {
 public:
  explicit TrainingStep(Random& random) : random_(random) {}

  Step make() {
    size_t bytes = (size_t{16} << random_.below(6)) * 1024;
    int x = step_.add(bytes, true);
    for (size_t stage = 1 + random_.below(4); stage-- > 0; bytes /= 2) {
      for (size_t block = 1 + random_.below(4); block-- > 0;) x = add_block(x, bytes);
    }
    int gradient = node({x}, bytes);
    for (size_t i = backward_.size(); i-- > 0;) gradient = backward(backward_[i], gradient);
    ArenaNode update{gradients_, {}, {}};
    step_.nodes.push_back(update);
    return step_;
  }

 private:
  struct Layer {
    int x, convolved, y, skip;
  };

  int node(std::vector<int> inputs, size_t bytes, std::vector<std::pair<int, int>> in_place = {}) {
    int output = step_.add(bytes);
    step_.nodes.push_back({std::move(inputs), {output}, std::move(in_place)});
    return output;
  }

  int add_block(int x, size_t bytes) {
    int skip = x;
    size_t layers = 2 + random_.below(2);
    for (size_t i = 0; i < layers; ++i) {
      bool last = i + 1 == layers;
      int convolved = node({x}, bytes);
      int y = last ? node({convolved, skip}, bytes) : node({convolved}, bytes);
      backward_.push_back({x, convolved, y, last ? skip : -1});
      x = y;
    }
    return x;
  }

  int backward(const Layer& layer, int dy) {
    size_t bytes = step_.values[static_cast<size_t>(layer.y)].bytes;
    int dconvolved = node({dy, layer.convolved, layer.y}, bytes, {{0, 0}});
    gradients_.push_back(node({layer.x, dconvolved}, 1024 + random_.below(64) * 1024));
    int dx = node({dconvolved}, step_.values[static_cast<size_t>(layer.x)].bytes);
    if (layer.skip < 0 || dx == dy) return dx;
    return node({dx, dy}, step_.values[static_cast<size_t>(layer.x)].bytes, {{0, 0}, {0, 1}});
  }

  Random& random_;
  Step step_;
  std::vector<Layer> backward_;
  std::vector<int> gradients_;
};

}  // namespace node_cudnn::planned
