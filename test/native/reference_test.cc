// The reference back end by itself: small cases worked by hand, and the nodes that it must refuse, since a node that is
// let through is run without further bounds checks.
#include "backend/reference/reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "program/bfloat16.h"

namespace node_cudnn {
namespace {

using Attribute = std::map<std::string, Attributes::Attribute>;
using Numbers = std::vector<double>;

struct NodeCase {
  std::string op;
  std::vector<ValueType> inputs, outputs;
  Attribute attributes;
};

ValueType activation(Shape shape) { return {DType::float32, Format::activation, std::move(shape)}; }
ValueType filter(Shape shape) { return {DType::float32, Format::filter, std::move(shape)}; }
ValueType plain(Shape shape, DType dtype = DType::float32) { return {dtype, Format::plain, std::move(shape)}; }
ValueType index_of(const ValueType& y) { return {DType::uint8, Format::activation, y.shape}; }

// One node over values of float32 and int32, given and returned as floats in logical order.
class Step {
 public:
  explicit Step(const NodeCase& c) : backend_(make_reference_backend({})) {
    node_.op = c.op;
    node_.path = "layer1.0";
    for (const auto& [key, value] : c.attributes) node_.attributes.set(key, value);
    for (const auto& type : c.inputs) node_.inputs.push_back(add(type));
    for (const auto& type : c.outputs) node_.outputs.push_back(add(type));
    prepared_ = backend_->prepare(graph_, node_);
    for (const auto& value : graph_.values) memory_.push_back(backend_->allocate(backend_->bytes(value.type)));
    memory_.push_back(backend_->allocate(prepared_.workspace_bytes));
  }
  ~Step() {
    for (void* address : memory_) backend_->release(address);
  }

  template <class T>
  void write(int value, const std::vector<T>& data) {
    backend_->write(type(value), data.data(), address(value));
  }
  template <class T>
  std::vector<T> read(int value) {
    std::vector<T> data(static_cast<size_t>(elements(type(value).shape)));
    backend_->read(type(value), address(value), data.data());
    return data;
  }
  void run() {
    const auto inputs = node_.inputs.size();
    prepared_.kernel->run({memory_.data(), memory_.data() + inputs, memory_.back()});
  }

 private:
  int add(const ValueType& type) {
    Value value;
    value.type = type;
    graph_.values.push_back(value);
    return static_cast<int>(graph_.values.size()) - 1;
  }
  const ValueType& type(int value) const { return graph_.values.at(static_cast<size_t>(value)).type; }
  void* address(int value) const { return memory_.at(static_cast<size_t>(value)); }

  std::unique_ptr<Backend> backend_;
  Graph graph_;
  Node node_;
  std::vector<void*> memory_;
  Prepared prepared_;
};

Attribute window(Numbers stride, Numbers padding, Attribute more = {}) {
  more.merge(Attribute{{"stride", stride}, {"padding", padding}, {"dilation", Numbers{1, 1}}});
  return more;
}

const NodeCase conv{"conv2d",
                    {activation({1, 1, 1, 4}), filter({1, 1, 1, 3})},
                    {activation({1, 1, 1, 4})},
                    window({1, 1}, {0, 2, 0, 0}, {{"groups", 1.0}})};

TEST(Reference, ConvolutionWithPaddingOnOneSide) {
  Step step(conv);
  step.write<float>(0, {1, 2, 3, 4});
  step.write<float>(1, {100, 10, 1});
  step.run();
  EXPECT_EQ(step.read<float>(2), (std::vector<float>{1, 12, 123, 234}));
}

const NodeCase max_pool{"max_pool2d",
                        {activation({1, 1, 1, 5})},
                        {activation({1, 1, 1, 3}), index_of(activation({1, 1, 1, 3}))},
                        window({1, 2}, {0, 0, 0, 0}, {{"kernel", Numbers{1, 2}}})};

TEST(Reference, MaxPoolTakesTheFirstMaximumAndMayRunOverTheEdge) {
  Step step(max_pool);
  step.write<float>(0, {7, 7, 1, 2, -5});
  step.run();
  EXPECT_EQ(step.read<float>(1), (std::vector<float>{7, 2, -5}));
  EXPECT_EQ(step.read<uint8_t>(2), (std::vector<uint8_t>{0, 1, 0}));
}

TEST(Reference, GatherNamesTheIndexThatIsOutOfRange) {
  Step step({"gather", {plain({4, 2}), plain({2}, DType::int32)}, {plain({2, 2})}, {}});
  step.write<int32_t>(1, {3, 4});
  try {
    step.run();
    FAIL() << "index 4 of 4 rows was read";
  } catch (const std::exception& error) {
    EXPECT_STREQ(error.what(), "gather layer1.0: index[1] is 4, must lie in 0 .. 3");
  }
}

TEST(Reference, NamesTheLabelThatIsNoClass) {
  for (const int32_t label : {3, -2, 2147483647}) {
    Step step({"softmax_cross_entropy",
               {plain({2, 3}), plain({2}, DType::int32)},
               {plain({1}), plain({2, 3})},
               {{"smoothing", 0.0}}});
    step.write<int32_t>(1, {0, label});
    try {
      step.run();
      FAIL() << "label " << label << " of 3 classes was taken";
    } catch (const std::exception& error) {
      const std::string expected = "labels[1] is " + std::to_string(label) + ", but there are 3 classes; give 0 .. 2, ";
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
    }
  }
}

TEST(Reference, Bfloat16CrossesTheDoorAsFloat32) {
  Step step({"cast", {plain({2})}, {plain({2}, DType::bfloat16)}, {}});
  step.write<float>(0, {1.0F + 3.0F / 256, -2.0F});
  step.run();
  EXPECT_EQ(step.read<float>(1), (std::vector<float>{1.0F + 4.0F / 256, -2.0F}));
}

TEST(Reference, FeaturesAreUnique) {
  const auto features = make_reference_backend({})->features();
  EXPECT_EQ(std::set<std::string>(features.begin(), features.end()).size(), features.size());
}

struct Refused {
  NodeCase node;
  std::string because;
};

NodeCase changed(NodeCase node, const std::function<void(NodeCase&)>& change) {
  change(node);
  return node;
}

NodeCase with(const NodeCase& node, const std::string& key, const Attributes::Attribute& value) {
  return changed(node, [&](NodeCase& c) { c.attributes[key] = value; });
}

NodeCase with_output(const NodeCase& node, const ValueType& type) {
  return changed(node, [&](NodeCase& c) { c.outputs[0] = type; });
}

const NodeCase sgd{"sgd_update",
                   {plain({1}), plain({3})},
                   {plain({3}), plain({3})},
                   {{"momentum", 0.9}, {"weight_decay", 0.0}, {"nesterov", 0.0}, {"scaled", 0.0}}};

const std::vector<Refused> refused{
    {{"conv3d", {}, {}, {}}, "has no such op"},
    {{"relu", {}, {plain({1})}, {}}, "has 0 inputs and 1 outputs, needs 1 and 1"},
    {{"relu", {plain({2})}, {plain({3})}, {}}, "y is float32 plain [3], must be float32 plain [2]"},
    {{"relu", {plain({2}, DType::int32)}, {plain({2}, DType::int32)}, {}}, "int32 is not computed here"},
    {{"relu", {plain({0})}, {plain({0})}, {}}, "a shape is empty or too large"},
    {{"relu", {plain({1 << 30, 1 << 30})}, {plain({1 << 30, 1 << 30})}, {}}, "a shape is empty or too large"},
    {{"global_avg_pool", {}, {plain({1, 1})}, {}}, "input 0 is missing"},
    {with_output(conv, activation({1, 1, 1, 5})), "output width is 5, must be 4"},
    {with_output(conv, activation({1, 2, 1, 4})), "y has 2 channels, weight makes 1"},
    {with_output(conv, activation({2, 1, 1, 4})), "the batch sizes of x and y differ"},
    {with_output(conv, plain({1, 1, 1, 4})), "must be activation of rank 4"},
    {with(conv, "groups", 2.0), "weight makes 1 in 2 groups"},
    {with(conv, "dilation", Numbers{1, 4}), "the dilated kernel has width 9, larger than the padded input's 6"},
    {with(conv, "stride", Numbers{1, 0}), "attribute stride must be whole numbers in 1 .."},
    {with(conv, "stride", Numbers{1, 0.5}), "attribute stride must be whole numbers"},
    {with(conv, "stride", Numbers{1, std::nan("")}), "attribute stride must be whole numbers"},
    {with(conv, "stride", Numbers{1}), "attribute stride must have 2 elements"},
    {with(conv, "stride", 1.0), "attribute stride has the wrong type"},
    {with(conv, "padding", Numbers{0, -2, 0, 0}), "attribute padding must be whole numbers in 0 .."},
    {with(conv, "padding", Numbers{0, 1e300, 0, 0}), "attribute padding must be whole numbers"},
    {with_output(max_pool, activation({1, 1, 1, 4})), "output width is 4, must be 2, or one more"},
    {with(max_pool, "padding", Numbers{0, 2, 0, 0}),
     "padding of the width must be smaller than the dilated kernel's 2"},
    {with(max_pool, "kernel", Numbers{1, 300}), "output width is 3"},
    {changed(max_pool, [](NodeCase& c) { c.outputs[1].dtype = DType::int32; }), "index is int32"},
    {{"batch_norm",
      {activation({1, 2, 1, 1}), plain({2}), plain({2})},
      {activation({1, 2, 1, 1}), plain({2}), plain({2}), plain({2}), plain({2})},
      {{"epsilon", 1e-5}, {"momentum", 0.1}}},
     "training needs more than one value per channel"},
    {{"augment",
      {plain({1, 4, 4, 1}, DType::uint8)},
      {activation({1, 1, 7, 4})},
      {{"padding", 1.0}, {"flip", 0.0}, {"mean", Numbers{0}}, {"std", Numbers{1}}}},
     "y must not be larger than the padded images"},
    {{"subsample_pad", {activation({1, 2, 4, 4})}, {activation({1, 2, 1, 2})}, {{"stride", Numbers{2, 2}}}},
     "y is float32 activation [1,2,1,2], must be float32 activation [1,2,2,2]"},
    {{"linear", {plain({2, 3}), plain({4, 5})}, {plain({2, 4})}, {}}, "x has 3 features, weight expects 5"},
    {{"gather", {plain({4, 2}), plain({3}, DType::int32)}, {plain({4, 2})}, {}}, "must be float32 plain [3,2]"},
    {{"ring_write", {plain({1}), plain({1})}, {plain({8})}, {}}, "step is float32"},
    {with(sgd, "momentum", 0.0), "momentum values are given exactly where momentum is not 0"},
    {with(sgd, "momentum", std::nan("")), "attribute momentum must lie in 0 .."},
    {changed(sgd, [](NodeCase& c) { c.outputs.pop_back(); }), "momentum values are given exactly"},
    {changed(sgd, [](NodeCase& c) { c.inputs[1] = plain({2}); }), "gradient 0 is float32 plain [2]"},
    {with(sgd, "scaled", 1.0), "needs a learning rate and at least one gradient"},
};

TEST(Reference, RefusesNodesThatDoNotFit) {
  for (const auto& [node, because] : refused) {
    try {
      Step step(node);
      ADD_FAILURE() << node.op << " was prepared, must be refused: " << because;
    } catch (const std::invalid_argument& error) {
      const std::string message = error.what();
      EXPECT_EQ(message.find(node.op + " layer1.0: "), 0U) << message;
      EXPECT_NE(message.find(because), std::string::npos) << message << "\nlacks: " << because;
    }
  }
}

}  // namespace
}  // namespace node_cudnn
