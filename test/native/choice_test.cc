// The fastest of several graphs: measured once, kept, and gone without a trace but for the choice.
#include "program/choice.h"

#include <gtest/gtest.h>

#include <future>

#include "fake_backend.h"
#include "program/error.h"

namespace node_cudnn {
namespace {

const ValueType four{DType::float32, Format::plain, {4}};

class ChoiceTest : public ::testing::Test {
 protected:
  ChoiceTest() {
    device_.post(
        [this] { device_.open([this](const auto&) { return std::make_unique<fake::FakeBackend>(log_); }, {}); });
  }
  ~ChoiceTest() override {
    device_.abandon();
    EXPECT_FALSE(log_.foreign_thread);
  }

  // x, and a variable, through so many nodes that take a second each; the last one is of the given op.
  static Graph chain(int nodes, const std::string& last = "add") {
    Graph g;
    g.values = {{"x", four, Storage::input, -1, false}, {"w", four, Storage::variable, 0, false}};
    for (int i = 0; i < nodes; ++i) {
      g.values.push_back({"y", four, Storage::temporary, -1, i == nodes - 1});
      g.nodes.push_back({i == nodes - 1 ? last : "add", "", {i == 0 ? 0 : i + 1, 1}, {i + 2}, {}});
    }
    return g;
  }

  std::string fastest(const std::string& problem, std::vector<Alternative> alternatives) {
    std::packaged_task<std::string()> task([&] {
      return node_cudnn::fastest(device_, problem, {{"w", four}}, std::move(alternatives));
    });
    auto result = task.get_future();
    device_.post([&task] { task(); });
    return result.get();
  }

  fake::Log log_;
  Device device_{"fake"};
};

TEST_F(ChoiceTest, TheOneThatTakesTheLeastTimeIsTakenAndKept) {
  EXPECT_EQ(fastest("a", {{"long", chain(3)}, {"short", chain(1)}, {"middle", chain(2)}}), "short");
  EXPECT_EQ(fastest("b", {{"fused", chain(2)}, {"unfused", chain(2)}}), "fused");  // the first of equals
  EXPECT_EQ(log_.choices, (std::map<std::string, std::string>{{"a", "short"}, {"b", "fused"}}));
  EXPECT_TRUE(log_.memory.empty());
}

TEST_F(ChoiceTest, WhatIsKnownIsBelievedAndNothingIsRun) {
  log_.choices["a"] = "long";
  EXPECT_EQ(fastest("a", {{"short", chain(1)}, {"long", chain(3)}}), "long");
  EXPECT_EQ(log_.runs, 0);
  EXPECT_EQ(log_.allocations, 0);
}

TEST_F(ChoiceTest, AChoiceThatIsNoneOfTheseIsMadeAnew) {
  log_.choices["a"] = "forgotten";
  EXPECT_EQ(fastest("a", {{"long", chain(3)}, {"short", chain(1)}}), "short");
  EXPECT_EQ(log_.choices["a"], "short");
}

TEST_F(ChoiceTest, WithoutRoomTheFirstServesAndNothingIsKept) {
  log_.limit = 300;  // the variable, and programs without a workspace of 1000 bytes
  EXPECT_EQ(fastest("a", {{"long", chain(3, "scratch")}, {"short", chain(1)}}), "long");
  EXPECT_EQ(fastest("a", {{"long", chain(3)}, {"short", chain(1, "scratch")}}), "long");
  EXPECT_GT(log_.allocations, 0);
  EXPECT_TRUE(log_.choices.empty());
  EXPECT_TRUE(log_.memory.empty());
}

TEST_F(ChoiceTest, AnErrorIsOneAndLeavesNothingBehind) {
  EXPECT_THROW(fastest("a", {{"good", chain(1)}, {"bad", chain(1, "unknown")}}), Error);
  EXPECT_THROW(fastest("a", {{"good", chain(1)}, {"bad", chain(2, "break")}}), Error);
  EXPECT_THROW(fastest("a", {}), Error);
  EXPECT_TRUE(log_.choices.empty());
  EXPECT_TRUE(log_.memory.empty());
  EXPECT_EQ(fastest("a", {{"good", chain(1)}}), "good");
}

}  // namespace
}  // namespace node_cudnn
