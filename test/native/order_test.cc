#include "program/order.h"

#include <gtest/gtest.h>

namespace node_cudnn {
namespace {

Graph graph_of(size_t values, std::vector<Node> nodes) {
  Graph graph;
  graph.values.resize(values);
  graph.nodes = std::move(nodes);
  return graph;
}

TEST(Order, KeepsTheOrderAndDropsWhatReachesNothing) {
  Graph graph = graph_of(5, {{"a", "", {}, {0}, {}},
                             {"dead", "", {0}, {1}, {}},
                             {"b", "", {0}, {2}, {}},
                             {"dead", "", {1}, {3}, {}},
                             {"c", "", {2}, {4}, {}}});
  graph.values[4].keep = true;
  EXPECT_EQ(live_nodes(graph), (std::vector<int>{0, 2, 4}));
}

TEST(Order, WritingAVariableIsAnEffect) {
  Graph graph = graph_of(2, {{"a", "", {}, {0}, {}}, {"update", "", {0}, {1}, {}}});
  graph.values[1].storage = Storage::variable;
  EXPECT_EQ(live_nodes(graph), (std::vector<int>{0, 1}));
}

TEST(Order, WithoutEffectsNothingIsRun) {
  EXPECT_TRUE(live_nodes(graph_of(2, {{"a", "", {}, {0}, {}}, {"b", "", {0}, {1}, {}}})).empty());
}

}  // namespace
}  // namespace node_cudnn
