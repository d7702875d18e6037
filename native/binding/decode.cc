#include "binding/decode.h"

#include <limits>

#include "binding/arguments.h"

namespace node_cudnn {
namespace {

constexpr int64_t most_index = std::numeric_limits<int>::max();
constexpr int64_t most_size = int64_t{1} << 53;

// One place in the tree of objects; it knows its way from the root, for messages.
class Place {
 public:
  Place(Napi::Value value, std::string way) : value_(value), way_(std::move(way)) {}

  Place operator[](const char* key) const { return {object(value_, way_).Get(key), way_ + "." + key}; }
  Place operator[](uint32_t i) const {
    return {value_.As<Napi::Object>().Get(i), way_ + "[" + std::to_string(i) + "]"};
  }
  bool missing() const { return value_.IsUndefined(); }
  std::string text() const { return node_cudnn::text(value_, way_); }
  int64_t integer(int64_t least, int64_t most) const { return node_cudnn::integer(value_, way_, least, most); }
  int index() const { return static_cast<int>(integer(0, most_index)); }
  const Napi::Value& value() const { return value_; }
  const std::string& way() const { return way_; }

  [[noreturn]] void fail(const std::string& expected) const {
    throw Error(ErrorCode::argument, way_ + ": expected " + expected + ", got " + show(value_));
  }

  bool flag() const {
    if (!value_.IsBoolean()) fail("true or false");
    return value_.As<Napi::Boolean>();
  }
  double number() const {
    if (!value_.IsNumber()) fail("a number");
    return value_.As<Napi::Number>().DoubleValue();
  }
  template <class Read>
  auto list(Read read) const {
    if (!value_.IsArray()) fail("an array");
    std::vector<decltype(read(*this))> items;
    uint32_t length = value_.As<Napi::Array>().Length();
    for (uint32_t i = 0; i < length; ++i) {
      Napi::HandleScope scope(value_.Env());
      items.push_back(read((*this)[i]));
    }
    return items;
  }
  template <class Choice, size_t n>
  Choice one_of(const std::pair<const char*, Choice> (&choices)[n]) const {
    std::string names;
    if (value_.IsString()) {
      std::string name = value_.As<Napi::String>();
      for (const auto& [known, choice] : choices) {
        if (name == known) return choice;
      }
    }
    for (const auto& [known, choice] : choices) names += std::string(names.empty() ? "'" : ", '") + known + "'";
    fail("one of " + names);
  }

 private:
  Napi::Value value_;
  std::string way_;
};

constexpr std::pair<const char*, DType> dtypes[] = {{"float32", DType::float32},   {"float64", DType::float64},
                                                    {"bfloat16", DType::bfloat16}, {"float16", DType::float16},
                                                    {"uint8", DType::uint8},       {"int32", DType::int32}};
constexpr std::pair<const char*, Format> formats[] = {
    {"activation", Format::activation}, {"filter", Format::filter}, {"plain", Format::plain}};
constexpr std::pair<const char*, Storage> storages[] = {
    {"input", Storage::input}, {"variable", Storage::variable}, {"temporary", Storage::temporary}};

ValueType decode_type(const Place& place) {
  ValueType type;
  type.dtype = place["dtype"].one_of(dtypes);
  type.format = place["format"].one_of(formats);
  type.shape = place["shape"].list([](const Place& size) { return size.integer(1, most_size); });
  return type;
}

Value decode_value(const Place& place) {
  Value value;
  value.name = place["name"].text();
  value.type = decode_type(place);
  value.storage = place["storage"].one_of(storages);
  if (value.storage == Storage::variable) value.variable = place["variable"].index();
  if (Place keep = place["keep"]; !keep.missing()) value.keep = keep.flag();
  return value;
}

Attributes::Attribute decode_attribute(const Place& place) {
  const Napi::Value& value = place.value();
  if (value.IsString()) return place.text();
  if (value.IsBoolean()) return place.flag() ? 1.0 : 0.0;
  if (value.IsNumber()) return place.number();
  if (value.IsArray()) return place.list([](const Place& item) { return item.number(); });
  place.fail("a number, a boolean, a string or an array of numbers");
}

Node decode_node(const Place& place) {
  Node node;
  node.op = place["op"].text();
  node.path = place["path"].text();
  node.inputs = place["inputs"].list([](const Place& value) { return value.index(); });
  node.outputs = place["outputs"].list([](const Place& value) { return value.index(); });
  Place attributes = place["attributes"];
  auto names = object(attributes.value(), attributes.way()).GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    std::string key = names.Get(i).ToString();
    node.attributes.set(key, decode_attribute(attributes[key.c_str()]));
  }
  return node;
}

Graph decode_graph_at(const Place& place) {
  try {
    const Place slices = place["slices"];
    return {place["values"].list(decode_value), place["nodes"].list(decode_node), !slices.missing() && slices.flag()};
  } catch (const Error& error) {
    throw Error(ErrorCode::graph, error.what());
  }
}

}  // namespace

Graph decode_graph(Napi::Value value) { return decode_graph_at(Place(value, "graph")); }

std::vector<Alternative> decode_alternatives(Napi::Value value) {
  return Place(value, "alternatives").list([](const Place& place) {
    return Alternative{place["name"].text(), decode_graph_at(place["graph"])};
  });
}

std::vector<Variable> decode_variables(Napi::Value value) {
  return Place(value, "variables").list([](const Place& place) {
    return Variable{place["name"].text(), decode_type(place)};
  });
}

}  // namespace node_cudnn
