// What the files of this room share: a node with the types of its values and the checks on them, and the choice of a
// storage type. lib/ops checks first, for people; these checks are what keeps every loop within bounds.
#pragma once

#include <functional>
#include <limits>
#include <type_traits>
#include <utility>

#include "backend/common/kernel.h"
#include "program/bfloat16.h"
#include "program/float16.h"

namespace node_cudnn::reference {

// Sizes of an activation [N, C, H, W] or a filter [O, I, kh, kw].
struct Dims4 {
  int64_t n, c, h, w;
  int64_t at(int64_t in, int64_t ic, int64_t ih, int64_t iw) const { return ((in * c + ic) * h + ih) * w + iw; }
  int64_t plane() const { return h * w; }
};

// One node; a failed check throws std::invalid_argument with the op, its path, all types and all attributes.
class Op {
 public:
  Op(const Graph& graph, const Node& node);

  size_t inputs() const { return node_.inputs.size(); }
  size_t outputs() const { return node_.outputs.size(); }
  const ValueType& input(size_t i) const { return type("input", node_.inputs, i); }
  const ValueType& output(size_t i) const { return type("output", node_.outputs, i); }
  std::string name() const { return node_.path.empty() ? node_.op : node_.op + " " + node_.path; }

  [[noreturn]] void fail(const std::string& what) const;
  void expect(bool holds, const std::string& what) const {
    if (!holds) fail(what);
  }
  void expect_counts(size_t inputs, size_t outputs) const;
  void expect_type(const std::string& role, const ValueType& type, DType dtype, const Shape& shape) const;
  void expect_type(const std::string& role, const ValueType& type, DType dtype, Format format,
                   const Shape& shape) const;
  void expect_equal(const std::string& role, const ValueType& type, const ValueType& expected) const;
  Dims4 dims4(const std::string& role, const ValueType& type, Format format) const;
  Dims4 activation(const std::string& role, const ValueType& type) const {
    return dims4(role, type, Format::activation);
  }

  double number(const std::string& key) const;
  double number(const std::string& key, double low, double high) const;
  int64_t integer(const std::string& key, int64_t low) const;
  bool flag(const std::string& key) const { return number(key, 0, 1) != 0; }
  std::vector<double> numbers(const std::string& key, int64_t count) const;
  std::vector<int64_t> integers(const std::string& key, int64_t count, int64_t low) const;

 private:
  template <class Get>
  auto attribute(Get get) const;
  const ValueType& type(const char* role, const std::vector<int>& values, size_t i) const {
    if (i >= values.size()) fail(std::string(role) + " " + std::to_string(i) + " is missing");
    return graph_.values.at(static_cast<size_t>(values[i])).type;
  }
  int64_t to_integer(const std::string& key, double value, int64_t low) const;

  const Graph& graph_;
  const Node& node_;
};

// "S" of docs/ops.md, for values of type T ("F").
template <class T>
using Statistic = std::conditional_t<std::is_same_v<T, double>, double, float>;
inline DType statistic(DType dtype) { return dtype == DType::float64 ? DType::float64 : DType::float32; }

// Calls f with a std::type_identity of the storage type: "F" of docs/ops.md.
template <class Function>
Prepared with_float(const Op& op, DType dtype, Function&& f) {
  switch (dtype) {
    case DType::float32:
      return f(std::type_identity<float>{});
    case DType::float64:
      return f(std::type_identity<double>{});
    case DType::bfloat16:
      return f(std::type_identity<bfloat16>{});
    case DType::float16:
      return f(std::type_identity<float16>{});
    default:
      op.fail(std::string(name_of(dtype)) + " is not computed here; use float32, float64, bfloat16 or float16");
  }
}

// The same for "S", and for ops that compute in S alone.
template <class Function>
Prepared with_statistic(const Op& op, DType dtype, Function&& f) {
  switch (dtype) {
    case DType::float32:
      return f(std::type_identity<float>{});
    case DType::float64:
      return f(std::type_identity<double>{});
    default:
      op.fail(std::string(name_of(dtype)) + " is not computed here; use float32 or float64");
  }
}

using Loops = std::function<void(const Arguments&)>;
inline Prepared prepared(Loops loops, InPlace in_place = {}) {
  return node_cudnn::prepared("reference", std::move(loops), 0, std::move(in_place));
}

}  // namespace node_cudnn::reference
