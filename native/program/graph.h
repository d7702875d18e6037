// The graph as native code sees it: plain data, decoded once at compile. Owns nothing but itself.
//
// Invariants (checked by verify()): `nodes` stand in execution order; a temporary is written by exactly one node,
// before any node reads it; an input is never written; a variable among a node's outputs is read and written in place,
// and nodes that read it earlier in the list see its old content, later ones its new content.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace node_cudnn {

enum class DType : uint8_t { float32, float64, bfloat16, float16, uint8, int32 };

// What a shape means; the back end derives the physical layout from (format, dtype, shape) alone, so that two values
// of equal type can always stand for each other.
//   activation  logical [N, C, H, W]
//   filter      logical [O, I / groups, kh, kw]
//   plain       dense, row-major, any rank
enum class Format : uint8_t { activation, filter, plain };

using Shape = std::vector<int64_t>;

struct ValueType {
  DType dtype = DType::float32;
  Format format = Format::plain;
  Shape shape;
  bool operator==(const ValueType&) const = default;
};

enum class Storage : uint8_t {
  input,      // written by the caller before each step
  variable,   // lives in a State, outlives the program
  temporary,  // lives in the program's arena
};

struct Value {
  std::string name;
  ValueType type;
  Storage storage = Storage::temporary;
  int variable = -1;  // index into the State, for Storage::variable
  bool keep = false;  // still readable after the step (fetch)

  // Set by place_slices(): a temporary that lies inside another one, as its channels from `first_channel` on.
  int whole = -1;
  int64_t first_channel = 0;
};

// Numbers and flags are stored as doubles: integers up to 2^53 are exact, as they are in JavaScript.
class Attributes {
 public:
  using Attribute = std::variant<double, std::string, std::vector<double>>;

  void set(const std::string& key, Attribute value) { map_[key] = std::move(value); }
  bool has(const std::string& key) const { return map_.count(key) != 0; }
  double number(const std::string& key) const { return get<double>(key); }
  int64_t integer(const std::string& key) const { return whole(key, get<double>(key)); }
  bool flag(const std::string& key) const { return get<double>(key) != 0; }
  const std::string& text(const std::string& key) const { return get<std::string>(key); }
  const std::vector<double>& numbers(const std::string& key) const { return get<std::vector<double>>(key); }
  std::vector<int64_t> integers(const std::string& key) const {
    std::vector<int64_t> result;
    for (double value : numbers(key)) result.push_back(whole(key, value));
    return result;
  }
  const std::map<std::string, Attribute>& entries() const { return map_; }

 private:
  static int64_t whole(const std::string& key, double value) {
    if (std::trunc(value) == value && std::abs(value) <= 9007199254740992.0) return static_cast<int64_t>(value);
    throw std::invalid_argument("attribute " + key + " is " + std::to_string(value) + ", expected an integer");
  }
  template <class T>
  const T& get(const std::string& key) const {
    auto it = map_.find(key);
    if (it == map_.end()) throw std::invalid_argument("attribute " + key + " is missing");
    if (auto* value = std::get_if<T>(&it->second)) return *value;
    throw std::invalid_argument("attribute " + key + " has the wrong type");
  }
  std::map<std::string, Attribute> map_;
};

struct Node {
  std::string op;
  std::string path;  // the layer path, for people
  std::vector<int> inputs;
  std::vector<int> outputs;
  Attributes attributes;
};

struct Graph {
  std::vector<Value> values;
  std::vector<Node> nodes;
  bool slices = false;  // whether values may lie inside others (slices.h)
};

inline size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::float64:
      return 8;
    case DType::float32:
    case DType::int32:
      return 4;
    case DType::bfloat16:
    case DType::float16:
      return 2;
    case DType::uint8:
      return 1;
  }
  throw std::invalid_argument("unknown dtype");
}

inline const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::float64:
      return "float64";
    case DType::float32:
      return "float32";
    case DType::int32:
      return "int32";
    case DType::bfloat16:
      return "bfloat16";
    case DType::float16:
      return "float16";
    case DType::uint8:
      return "uint8";
  }
  throw std::invalid_argument("unknown dtype");
}

inline int64_t elements(const Shape& shape) {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

inline std::string to_string(const Shape& shape) {
  std::string s = "[";
  for (size_t i = 0; i < shape.size(); ++i) s.append(i ? "," : "").append(std::to_string(shape[i]));
  return s + "]";
}

}  // namespace node_cudnn
