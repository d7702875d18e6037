#include "program/verify.h"

#include <gtest/gtest.h>

#include <limits>

#include "program/error.h"

namespace node_cudnn {
namespace {

constexpr int64_t big = std::numeric_limits<int64_t>::max();

Value value(const std::string& name, Storage storage, ValueType type = {DType::float32, Format::plain, {2, 3}}) {
  return {name, std::move(type), storage, -1, false};
}

// x and w in, y and z out; z kept; the counter written in place.
struct Sound {
  std::vector<Variable> variables = {{"w", {DType::float32, Format::plain, {2, 3}}},
                                     {"step", {DType::int32, Format::plain, {1}}}};
  Graph graph;

  Sound() {
    graph.values = {value("x", Storage::input), value("w", Storage::variable),
                    value("step", Storage::variable, variables[1].type), value("y", Storage::temporary),
                    value("z", Storage::temporary)};
    graph.values[1].variable = 0;
    graph.values[2].variable = 1;
    graph.values[4].keep = true;
    graph.nodes = {
        {"add", "layer1", {0, 1}, {3}, {}}, {"relu", "layer1", {3}, {4}, {}}, {"increment", "step", {}, {2}, {}}};
  }
};

// The message of the ERR_GRAPH that the graph gets.
std::string defect(const Sound& sound) {
  try {
    verify(sound.graph, sound.variables);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::graph);
    return error.what();
  }
  return "none";
}

#define EXPECT_DEFECT(sound, part) EXPECT_NE(defect(sound).find(part), std::string::npos) << defect(sound)

TEST(Verify, ASoundGraphPasses) { EXPECT_EQ(defect(Sound()), "none"); }

TEST(Verify, AnEmptyGraphPasses) { EXPECT_NO_THROW(verify(Graph(), {})); }

TEST(Verify, InputIndexOutOfRange) {
  for (int index : {-1, 5, std::numeric_limits<int>::max(), std::numeric_limits<int>::min()}) {
    Sound sound;
    sound.graph.nodes[1].inputs = {index};
    EXPECT_DEFECT(sound, "relu layer1: an input is value " + std::to_string(index) + ", but the graph has 5 values");
  }
}

TEST(Verify, OutputIndexOutOfRange) {
  Sound sound;
  sound.graph.nodes[1].outputs = {17};
  EXPECT_DEFECT(sound, "relu layer1: an output is value 17, but the graph has 5 values");
}

TEST(Verify, UseBeforeDefinition) {
  Sound sound;
  std::swap(sound.graph.nodes[0], sound.graph.nodes[1]);
  EXPECT_DEFECT(sound, "relu layer1: reads value 3 'y' before any node has written it");
}

TEST(Verify, ANodeThatReadsItsOwnOutput) {
  Sound sound;
  sound.graph.nodes[1].inputs = {4};
  EXPECT_DEFECT(sound, "reads value 4 'z' before any node has written it");
}

TEST(Verify, TwoProducers) {
  Sound sound;
  sound.graph.nodes[1].outputs = {3};
  EXPECT_DEFECT(sound, "relu layer1: writes value 3 'y', which add layer1 has already written");
}

TEST(Verify, OneOutputTwice) {
  Sound sound;
  sound.graph.nodes[2].outputs = {2, 2};
  EXPECT_DEFECT(sound, "increment step: writes value 2 'step'");
}

TEST(Verify, AVariableMayBeWrittenByTwoNodes) {
  Sound sound;
  sound.graph.nodes.push_back(sound.graph.nodes[2]);
  EXPECT_EQ(defect(sound), "none");
}

TEST(Verify, AnInputIsNeverWritten) {
  Sound sound;
  sound.graph.nodes[1].outputs = {0};
  EXPECT_DEFECT(sound, "relu layer1: writes the input value 0 'x'");
}

TEST(Verify, AKeptValueThatNobodyWrites) {
  Sound sound;
  sound.graph.nodes.erase(sound.graph.nodes.begin() + 1);
  EXPECT_DEFECT(sound, "value 4 'z': it is kept, but no node writes it");
}

TEST(Verify, ANodeWithoutOp) {
  Sound sound;
  sound.graph.nodes[2].op = "";
  EXPECT_DEFECT(sound, "node 2 has no op");
}

TEST(Verify, VariablesOutOfRange) {
  for (int index : {-1, 2, std::numeric_limits<int>::max()}) {
    Sound sound;
    sound.graph.values[1].variable = index;
    EXPECT_DEFECT(sound, "value 1 'w': it is variable " + std::to_string(index) + ", but the state has 2 variables");
  }
}

TEST(Verify, AVariableOfAnotherType) {
  Sound sound;
  sound.variables[0].type.shape = {3, 2};
  EXPECT_DEFECT(sound, "value 1 'w': the graph has float32 [2,3] plain, the state's 'w' has float32 [3,2] plain");
  sound = Sound();
  sound.variables[0].type.dtype = DType::float64;
  EXPECT_DEFECT(sound, "the state's 'w' has float64 [2,3] plain");
}

TEST(Verify, TwoValuesForOneVariable) {
  Sound sound;
  sound.graph.values.push_back(sound.graph.values[1]);
  EXPECT_DEFECT(sound, "value 5 'w': variable 'w' is already another value of the graph");
}

TEST(Verify, Shapes) {
  struct Case {
    Shape shape;
    Format format;
    const char* part;
  };
  const Case cases[] = {
      {{0}, Format::plain, "a dimension of 0"},
      {{-4, 2}, Format::plain, "a dimension of -4"},
      {{std::numeric_limits<int64_t>::min()}, Format::plain, "a dimension of -9223372036854775808"},
      {{big}, Format::plain, "more than 2^40 elements"},
      {{big, big}, Format::plain, "more than 2^40 elements"},
      {{1 << 20, 1 << 20, 2}, Format::plain, "more than 2^40 elements"},
      {{1, 1, 1, 1, 1, 1, 1, 1, 1}, Format::plain, "9 dimensions"},
      {{2, 3}, Format::activation, "2 dimensions"},
      {{2, 3, 4, 5, 6}, Format::filter, "5 dimensions"},
  };
  for (const Case& c : cases) {
    Sound sound;
    sound.graph.values[3].type = {DType::float32, c.format, c.shape};
    EXPECT_DEFECT(sound, c.part);
    EXPECT_DEFECT(sound, "value 3 'y': shape " + to_string(c.shape));
    try {
      verify(std::vector<Variable>{{"v", sound.graph.values[3].type}});
      ADD_FAILURE() << c.part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::argument);
      EXPECT_NE(std::string(error.what()).find(c.part), std::string::npos) << error.what();
    }
  }
}

TEST(Verify, AScalarPasses) {
  Sound sound;
  sound.graph.values[3].type.shape = {};
  EXPECT_EQ(defect(sound), "none");
}

TEST(Verify, TwoVariablesOfOneName) {
  EXPECT_THROW(verify(std::vector<Variable>{{"v", {DType::float32, Format::plain, {1}}},
                                            {"v", {DType::float32, Format::plain, {2}}}}),
               Error);
}

TEST(Attributes, SayWhatIsMissingOrWrong) {
  Attributes attributes;
  attributes.set("half", 0.5);
  attributes.set("nan", std::numeric_limits<double>::quiet_NaN());
  attributes.set("huge", 1e300);
  attributes.set("list", std::vector<double>{1, 2.5});
  EXPECT_THROW(attributes.integer("half"), std::invalid_argument);
  EXPECT_THROW(attributes.integer("nan"), std::invalid_argument);
  EXPECT_THROW(attributes.integer("huge"), std::invalid_argument);
  EXPECT_THROW(attributes.integers("list"), std::invalid_argument);
  EXPECT_THROW(attributes.number("list"), std::invalid_argument);
  EXPECT_THROW(attributes.number("none"), std::invalid_argument);
  EXPECT_EQ(attributes.numbers("list")[1], 2.5);
}

}  // namespace
}  // namespace node_cudnn
