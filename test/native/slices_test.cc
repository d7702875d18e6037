#include "program/slices.h"

#include <gtest/gtest.h>

#include "fake_backend.h"
#include "program/order.h"

namespace node_cudnn {
namespace {

// Lets values of whole eights of channels lie inside others where each of `can` is all that touches them.
class Stretching final : public fake::FakeBackend {
 public:
  explicit Stretching(fake::Log& log) : FakeBackend(log) {}
  std::optional<size_t> offset_in(const ValueType& whole, const ValueType& part, int64_t first) const override {
    if (whole.shape[1] % 8 != 0 || part.shape[1] % 8 != 0 || first % 8 != 0) return std::nullopt;
    return static_cast<size_t>(first * 4);
  }
  bool takes_slice(const Graph&, const Node& node, int) const override {
    if (node.op == "wrong") throw std::invalid_argument("attribute stride is missing");
    return node.op == "can";
  }
};

ValueType channels(int64_t c, DType dtype = DType::float32) { return {dtype, Format::activation, {2, c, 3, 3}}; }

// Two values of 8 and 16 channels, written from an input, and their concatenation, which is read by a kept value.
class Slices : public testing::Test {
 protected:
  Slices() {
    graph_.slices = true;
    graph_.values = {{"x", channels(8), Storage::input},
                     {"a", channels(8)},
                     {"b", channels(16)},
                     {"y", channels(24)},
                     {"z", channels(24)}};
    graph_.values[4].keep = true;
    graph_.nodes = {{"can", "", {0}, {1}, {}},
                    {"can", "", {0}, {2}, {}},
                    {"concat", "", {1, 2}, {3}, {}},
                    {"cannot", "", {3}, {4}, {}}};
  }

  // The whole of each value.
  std::vector<int> wholes() {
    place_slices(graph_, live_nodes(graph_), backend_);
    std::vector<int> wholes;
    for (const Value& value : graph_.values) wholes.push_back(value.whole);
    return wholes;
  }
  using Wholes = std::vector<int>;

  int add(const ValueType& type, bool keep = false) {
    graph_.values.push_back({"", type, Storage::temporary, -1, keep});
    return static_cast<int>(graph_.values.size()) - 1;
  }
  void cut(int from, int to, double begin) {
    Node node{"slice_channels", "", {from}, {to}, {}};
    node.attributes.set("begin", begin);
    graph_.nodes.push_back(node);
  }

  fake::Log log_;
  Stretching backend_{log_};
  Graph graph_;
};

TEST_F(Slices, LieWhereTheConcatenationWouldCopyThem) {
  EXPECT_EQ(wholes(), (Wholes{-1, 3, 3, -1, -1}));
  EXPECT_EQ(graph_.values[1].first_channel, 0);
  EXPECT_EQ(graph_.values[2].first_channel, 8);
}

TEST_F(Slices, AreNoneWhereTheGraphOrTheBackEndWantsNone) {
  fake::FakeBackend plain(log_);
  place_slices(graph_, live_nodes(graph_), plain);
  graph_.slices = false;
  EXPECT_EQ(wholes(), Wholes(5, -1));
}

TEST_F(Slices, AreNotInputsKeptOrVariables) {
  graph_.nodes[2].inputs = {0, 2};
  graph_.values[2].keep = true;
  EXPECT_EQ(wholes(), Wholes(5, -1));
  graph_.values[2].keep = false;
  graph_.values[3].storage = Storage::variable;
  EXPECT_EQ(wholes(), Wholes(5, -1));
}

TEST_F(Slices, AreNotWhatTheConcatenationReadsTwice) {
  graph_.nodes[2].inputs = {1, 1, 1};
  EXPECT_EQ(wholes(), Wholes(5, -1));
}

TEST_F(Slices, AreWrittenAndReadByThoseWhoCan) {
  graph_.nodes[0].op = "cannot";
  graph_.nodes.push_back({"cannot", "", {2}, {add(channels(16), true)}, {}});
  EXPECT_EQ(wholes(), Wholes(6, -1));
  graph_.values[5].keep = false;  // then nobody runs that reader
  EXPECT_EQ(wholes(), (Wholes{-1, -1, 3, -1, -1, -1}));
}

TEST_F(Slices, LieInOneWholeThatLiesInNone) {
  const int twice = add(channels(32), true), further = add(channels(32), true);
  graph_.nodes.push_back({"concat", "", {3, 0}, {twice}, {}});
  graph_.nodes.push_back({"concat", "", {1, 3}, {further}, {}});
  EXPECT_EQ(wholes(), (Wholes{-1, -1, 3, -1, -1, -1, -1}));  // value 1 is read by two of them
}

TEST_F(Slices, AreCutOutInPlaceWhereAllReadersCan) {
  const int first = add(channels(16)), second = add(channels(8)), third = add(channels(8), true);
  cut(3, first, 8);
  cut(3, second, 4);  // not a whole eight from the start
  cut(3, third, 0);   // kept
  graph_.nodes.push_back({"can", "", {first, second}, {add(channels(8), true)}, {}});
  EXPECT_EQ(wholes(), (Wholes{-1, 3, 3, -1, -1, 3, -1, -1, -1}));
  EXPECT_EQ(graph_.values[5].first_channel, 8);
}

TEST_F(Slices, OfWrongGraphsAreLeftToPrepare) {
  graph_.nodes[0].op = "wrong";
  EXPECT_EQ(wholes(), (Wholes{-1, -1, 3, -1, -1}));
  graph_.values[2].whole = -1;
  graph_.nodes[0].op = "can";
  graph_.values[1].type.shape = {2, 8, 3, 4};
  graph_.values[2].type.dtype = DType::bfloat16;
  const int outside = add(channels(16), true), plain = add({DType::float32, Format::plain, {4}}, true);
  cut(3, outside, 16);
  cut(3, outside, -8);
  cut(3, outside, 0.5);
  graph_.nodes.push_back({"slice_channels", "", {3}, {outside}, {}});
  graph_.nodes.push_back({"concat", "", {plain}, {3}, {}});
  EXPECT_EQ(wholes(), Wholes(7, -1));
}

}  // namespace
}  // namespace node_cudnn
