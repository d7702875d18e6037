#include "program/planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "random_steps.h"

namespace node_cudnn {
namespace {

using planned::arbitrary_step;
using planned::Random;
using planned::SlicedStep;
using planned::Step;
using planned::TrainingStep;

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
    ASSERT_EQ(plan_.workspaces.size(), step_.nodes.size());
    for (size_t i = 0; i < step_.nodes.size(); ++i) {
      const ArenaNode& node = step_.nodes[i];
      ASSERT_NO_FATAL_FAILURE(scribble(node, plan_.workspaces[i]));
      for (int input : node.inputs) expect_intact(input);
      for (int output : node.outputs) expect_apart_from_inputs(node, output);
      for (int output : node.outputs) write(output);
      for (int output : node.outputs) expect_intact(output);
      ASSERT_NO_FATAL_FAILURE(scribble(node, plan_.workspaces[i]));
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
  static constexpr int workspace = -2;

  // A kernel may use its workspace before it has read all inputs, and after it has written outputs.
  void scribble(const ArenaNode& node, int64_t offset) {
    ASSERT_EQ(offset < 0, node.workspace_bytes == 0);
    if (offset < 0) return;
    const auto first = static_cast<size_t>(offset) / alignment, last = first + units(node.workspace_bytes);
    ASSERT_EQ(offset % static_cast<int64_t>(alignment), 0);
    ASSERT_LE(last, cells_.size());
    std::fill(cells_.begin() + static_cast<long>(first), cells_.begin() + static_cast<long>(last), workspace);
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
    if (t > 0 && t < end) sum += align(step.nodes[static_cast<size_t>(t) - 1].workspace_bytes);
    most = std::max(most, sum);
  }
  return most;
}

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

TEST(Planner, AWorkspaceLiesWhereNothingIsAliveYet) {
  Step step;
  int x = step.add(256, true), y = step.add(256), z = step.add(1024);
  step.nodes = {{{x}, {y}, {}, 512}, {{y}, {z}, {}}};
  step.values[2].keep = true;
  ArenaPlan plan = plan_arena(step.values, step.nodes);
  EXPECT_EQ(plan.workspaces[1], -1);
  EXPECT_EQ(plan.arena_bytes, 1280u);
}

TEST(Planner, NothingNeedsNothing) {
  ArenaPlan plan = plan_arena({}, {});
  EXPECT_EQ(plan.arena_bytes, 0u);
  EXPECT_EQ(plan.lower_bound_bytes, 0u);
}

}  // namespace
}  // namespace node_cudnn
