#include "program/planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace node_cudnn {
namespace {

struct Step {
  std::vector<ArenaValue> values;
  std::vector<ArenaNode> nodes;

  int add(size_t bytes, bool input = false) {
    values.push_back({bytes, true, input, false});
    return static_cast<int>(values.size()) - 1;
  }
};

size_t units(size_t bytes) { return align(bytes) / alignment; }

// The value itself, or the one inside which it lies.
int root(const Step& step, int value) {
  const int whole = step.values[static_cast<size_t>(value)].whole;
  return whole < 0 ? value : whole;
}

// The oracle knows no lifetimes: it runs the step on an arena whose cells hold the value that was written last; those
// inside another one count as that. A value that was overwritten while somebody still wanted it is found by whoever
// reads it.
class Simulation {
 public:
  Simulation(const Step& step, const ArenaPlan& plan)
      : step_(step), plan_(plan), cells_(plan.arena_bytes / alignment, -1) {}

  void run() {
    ASSERT_EQ(plan_.arena_bytes % alignment, 0u);
    for (size_t i = 0; i < step_.values.size(); ++i) {
      if (step_.values[i].input && step_.values[i].in_arena) write(static_cast<int>(i));
    }
    for (const ArenaNode& node : step_.nodes) {
      for (int input : node.inputs) expect_intact(input);
      for (int output : node.outputs) expect_apart_from_inputs(node, output);
      for (int output : node.outputs) write(output);
      for (int output : node.outputs) expect_intact(output);
    }
    for (size_t i = 0; i < step_.values.size(); ++i) {
      if (step_.values[i].keep && plan_.offsets[i] >= 0) expect_intact(static_cast<int>(i));
    }
  }

 private:
  std::pair<size_t, size_t> range(int value) const {
    auto offset = plan_.offsets[static_cast<size_t>(value)];
    size_t first = static_cast<size_t>(offset) / alignment;
    return {first, first + units(step_.values[static_cast<size_t>(value)].bytes)};
  }
  bool placed(int value) const { return step_.values[static_cast<size_t>(value)].in_arena; }

  void write(int value) {
    if (!placed(value)) return;
    ASSERT_GE(plan_.offsets[static_cast<size_t>(value)], 0);
    ASSERT_EQ(plan_.offsets[static_cast<size_t>(value)] % static_cast<int64_t>(alignment), 0);
    auto [first, last] = range(value);
    ASSERT_LE(last, cells_.size());
    std::fill(cells_.begin() + static_cast<long>(first), cells_.begin() + static_cast<long>(last), root(step_, value));
  }

  void expect_intact(int value) const {
    if (!placed(value)) return;
    auto [first, last] = range(value);
    for (size_t cell = first; cell < last; ++cell) ASSERT_EQ(cells_[cell], root(step_, value)) << "cell " << cell;
  }

  void expect_apart_from_inputs(const ArenaNode& node, int output) const {
    for (int input : node.inputs) {
      if (!placed(input) || !placed(output) || root(step_, input) == root(step_, output)) continue;
      auto [a, b] = range(output);
      auto [c, d] = range(input);
      if (a >= d || c >= b) continue;
      ASSERT_TRUE(allowed(node, output, input)) << "output " << output << " lies on input " << input;
      ASSERT_EQ(a, c);
      ASSERT_EQ(step_.values[static_cast<size_t>(output)].bytes, step_.values[static_cast<size_t>(input)].bytes);
      auto same = [&](int other) { return root(step_, other) == root(step_, input); };
      ASSERT_EQ(std::count_if(node.inputs.begin(), node.inputs.end(), same), 1);
    }
  }

  static bool allowed(const ArenaNode& node, int output, int input) {
    return std::any_of(node.in_place.begin(), node.in_place.end(), [&](auto pair) {
      return node.outputs[static_cast<size_t>(pair.first)] == output &&
             node.inputs[static_cast<size_t>(pair.second)] == input;
    });
  }

  const Step& step_;
  const ArenaPlan& plan_;
  std::vector<int> cells_;
};

// The most cells that hold something wanted, counted by address, at any node.
size_t most_wanted(const Step& step, const ArenaPlan& plan) {
  size_t most = 0;
  auto end = static_cast<int>(step.nodes.size()) + 1;
  std::vector<int> first(step.values.size(), -1), last(step.values.size(), -1);
  for (size_t v = 0; v < step.values.size(); ++v) {
    if (step.values[v].input) first[v] = last[v] = 0;
  }
  for (int t = 1; t < end; ++t) {
    for (int v : step.nodes[static_cast<size_t>(t) - 1].inputs) last[static_cast<size_t>(v)] = t;
    for (int v : step.nodes[static_cast<size_t>(t) - 1].outputs)
      first[static_cast<size_t>(v)] = last[static_cast<size_t>(v)] = t;
  }
  for (size_t v = 0; v < step.values.size(); ++v) {
    const auto whole = static_cast<size_t>(root(step, static_cast<int>(v)));
    first[whole] = std::min(first[whole], first[v]);
    last[whole] = std::max(last[whole], last[v]);
  }
  for (int t = 0; t <= end; ++t) {
    std::map<int64_t, size_t> wanted;  // by offset: values in place of each other count once
    for (size_t v = 0; v < step.values.size(); ++v) {
      bool live =
          plan.offsets[v] >= 0 && step.values[v].whole < 0 && first[v] <= t && (t <= last[v] || step.values[v].keep);
      if (live) wanted[plan.offsets[v]] = align(step.values[v].bytes);
    }
    size_t sum = 0;
    for (auto [offset, bytes] : wanted) sum += bytes;
    most = std::max(most, sum);
  }
  return most;
}

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  size_t below(size_t n) { return engine_() % n; }
  bool chance(double p) { return std::uniform_real_distribution<>(0, 1)(engine_) < p; }

 private:
  std::mt19937 engine_;
};

// Anything that the invariants allow, variables and dead outputs included.
Step arbitrary_step(Random& random) {
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

TEST(Planner, NoValueIsOverwrittenWhileItIsWanted) {
  for (unsigned seed = 0; seed < 5000; ++seed) {
    Random random(seed);
    Step step = arbitrary_step(random);
    ArenaPlan plan = plan_arena(step.values, step.nodes);
    SCOPED_TRACE("seed " + std::to_string(seed));
    ASSERT_NO_FATAL_FAILURE(Simulation(step, plan).run());
    ASSERT_EQ(plan.lower_bound_bytes, most_wanted(step, plan));
    ASSERT_GE(plan.arena_bytes, plan.lower_bound_bytes);
  }
}

TEST(Planner, NoValueInsideAnotherIsOverwrittenWhileItIsWanted) {
  size_t inside = 0;
  for (unsigned seed = 0; seed < 5000; ++seed) {
    Random random(seed);
    Step step = SlicedStep(random).make();
    ArenaPlan plan = plan_arena(step.values, step.nodes);
    SCOPED_TRACE("seed " + std::to_string(seed));
    ASSERT_NO_FATAL_FAILURE(Simulation(step, plan).run());
    ASSERT_EQ(plan.lower_bound_bytes, most_wanted(step, plan));
    for (size_t i = 0; i < step.values.size(); ++i) {
      const ArenaValue& value = step.values[i];
      if (value.whole < 0) continue;
      ++inside;
      ASSERT_EQ(plan.offsets[i], plan.offsets[static_cast<size_t>(value.whole)] + int64_t(value.whole_offset));
    }
  }
  EXPECT_GT(inside, 10000u);
}

TEST(Planner, PeakOfATrainingStepIsWithinTenPercentOfTheLowerBound) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    Random random(seed);
    Step step = TrainingStep(random).make();
    ArenaPlan plan = plan_arena(step.values, step.nodes);
    SCOPED_TRACE("seed " + std::to_string(seed));
    ASSERT_NO_FATAL_FAILURE(Simulation(step, plan).run());
    ASSERT_LE(static_cast<double>(plan.arena_bytes), 1.1 * static_cast<double>(plan.lower_bound_bytes));
  }
}

TEST(Planner, AChainInPlaceUsesOnePlace) {
  Step step;
  int x = step.add(1000, true);
  for (int i = 0; i < 10; ++i) {
    int y = step.add(1000);
    step.nodes.push_back({{x}, {y}, {{0, 0}}});
    x = y;
  }
  step.values.back().keep = true;
  EXPECT_EQ(plan_arena(step.values, step.nodes).arena_bytes, 1024u);
}

TEST(Planner, AnInputReadLaterIsNotOverwritten) {
  Step step;
  int x = step.add(256, true), y = step.add(256), z = step.add(256);
  step.nodes = {{{x}, {y}, {{0, 0}}}, {{x, y}, {z}, {}}};
  step.values[2].keep = true;
  ArenaPlan plan = plan_arena(step.values, step.nodes);
  EXPECT_NE(plan.offsets[0], plan.offsets[1]);
}

TEST(Planner, AKeptInputIsNotOverwritten) {
  Step step;
  int x = step.add(256, true), y = step.add(256);
  step.nodes = {{{x}, {y}, {{0, 0}}}};
  step.values[0].keep = step.values[1].keep = true;
  ArenaPlan plan = plan_arena(step.values, step.nodes);
  EXPECT_NE(plan.offsets[0], plan.offsets[1]);
}

TEST(Planner, AnInputReadTwiceByTheNodeIsNotOverwritten) {
  Step step;
  int x = step.add(256, true), y = step.add(256);
  step.nodes = {{{x, x}, {y}, {{0, 0}}}};
  step.values[1].keep = true;
  ArenaPlan plan = plan_arena(step.values, step.nodes);
  EXPECT_NE(plan.offsets[0], plan.offsets[1]);
}

TEST(Planner, VariablesAndValuesOfDeadNodesAreNotInTheArena) {
  Step step;
  int weight = step.add(256), unwritten = step.add(256), y = step.add(100);
  step.values[0].in_arena = false;
  step.values[2].keep = true;
  step.nodes = {{{weight}, {y}, {}}};
  ArenaPlan plan = plan_arena(step.values, step.nodes);
  EXPECT_EQ(plan.offsets[static_cast<size_t>(weight)], -1);
  EXPECT_EQ(plan.offsets[static_cast<size_t>(unwritten)], -1);
  EXPECT_EQ(plan.arena_bytes, 256u);
}

TEST(Planner, NothingNeedsNothing) {
  ArenaPlan plan = plan_arena({}, {});
  EXPECT_EQ(plan.arena_bytes, 0u);
  EXPECT_EQ(plan.lower_bound_bytes, 0u);
}

}  // namespace
}  // namespace node_cudnn
