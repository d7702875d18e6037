#include "backend/reference/op.h"

#include <cmath>
#include <sstream>

namespace node_cudnn::reference {
namespace {

constexpr int64_t largest = std::numeric_limits<int32_t>::max();

const char* name_of(Format format) {
  switch (format) {
    case Format::activation:
      return "activation";
    case Format::filter:
      return "filter";
    case Format::plain:
      return "plain";
  }
  return "unknown format";
}

std::string describe(const ValueType& type) {
  return std::string(node_cudnn::name_of(type.dtype)) + " " + name_of(type.format) + " " + to_string(type.shape);
}

struct PrintAttribute {
  std::ostream& out;
  void operator()(double value) const { out << value; }
  void operator()(const std::string& value) const { out << '"' << value << '"'; }
  void operator()(const std::vector<double>& values) const {
    for (size_t i = 0; i < values.size(); ++i) out << (i ? "," : "[") << values[i];
    out << ']';
  }
};

}  // namespace

Op::Op(const Graph& graph, const Node& node) : graph_(graph), node_(node) {
  const auto check = [this](const ValueType& type) {
    int64_t count = 1;
    for (const int64_t size : type.shape) {
      expect(size >= 1 && size <= largest && count <= (int64_t{1} << 48) / size, "a shape is empty or too large");
      count *= size;
    }
  };
  for (size_t i = 0; i < inputs(); ++i) check(input(i));
  for (size_t i = 0; i < outputs(); ++i) check(output(i));
}

void Op::fail(const std::string& what) const {
  std::ostringstream out;
  out << name() << ": " << what;
  const char* separator = " (";
  const auto next = [&] { return std::exchange(separator, ", "); };
  for (size_t i = 0; i < inputs(); ++i) out << next() << "input " << describe(input(i));
  for (size_t i = 0; i < outputs(); ++i) out << next() << "output " << describe(output(i));
  for (const auto& [key, value] : node_.attributes.entries()) {
    out << next() << key << ' ';
    std::visit(PrintAttribute{out}, value);
  }
  throw std::invalid_argument(out.str() + (*separator == ',' ? ")" : ""));
}

void Op::expect_counts(size_t inputs, size_t outputs) const {
  expect(this->inputs() == inputs && this->outputs() == outputs,
         "has " + std::to_string(this->inputs()) + " inputs and " + std::to_string(this->outputs()) +
             " outputs, needs " + std::to_string(inputs) + " and " + std::to_string(outputs));
}

void Op::expect_type(const std::string& role, const ValueType& type, DType dtype, const Shape& shape) const {
  expect_type(role, type, dtype, type.format, shape);
}

void Op::expect_type(const std::string& role, const ValueType& type, DType dtype, Format format,
                     const Shape& shape) const {
  expect_equal(role, type, {dtype, format, shape});
}

void Op::expect_equal(const std::string& role, const ValueType& type, const ValueType& expected) const {
  expect(type == expected, role + " is " + describe(type) + ", must be " + describe(expected));
}

Dims4 Op::dims4(const std::string& role, const ValueType& type, Format format) const {
  expect(type.format == format && type.shape.size() == 4,
         role + " is " + describe(type) + ", must be " + name_of(format) + " of rank 4");
  return {type.shape[0], type.shape[1], type.shape[2], type.shape[3]};
}

template <class Get>
auto Op::attribute(Get get) const {
  try {
    return get(node_.attributes);
  } catch (const std::invalid_argument& error) {
    fail(error.what());
  }
}

double Op::number(const std::string& key) const {
  return attribute([&](const Attributes& attributes) { return attributes.number(key); });
}

double Op::number(const std::string& key, double low, double high) const {
  const double value = number(key);
  std::ostringstream range;
  range << "attribute " << key << " must lie in " << low << " .. " << high;
  expect(value >= low && value <= high, range.str());
  return value;
}

int64_t Op::to_integer(const std::string& key, double value, int64_t low) const {
  expect(value == std::trunc(value) && value >= static_cast<double>(low) && value <= static_cast<double>(largest),
         "attribute " + key + " must be whole numbers in " + std::to_string(low) + " .. " + std::to_string(largest));
  return static_cast<int64_t>(value);
}

int64_t Op::integer(const std::string& key, int64_t low) const { return to_integer(key, number(key), low); }

std::vector<double> Op::numbers(const std::string& key, int64_t count) const {
  auto values = attribute([&](const Attributes& attributes) { return attributes.numbers(key); });
  expect(static_cast<int64_t>(values.size()) == count,
         "attribute " + key + " must have " + std::to_string(count) + " elements");
  return values;
}

std::vector<int64_t> Op::integers(const std::string& key, int64_t count, int64_t low) const {
  std::vector<int64_t> integers;
  for (const double value : numbers(key, count)) integers.push_back(to_integer(key, value, low));
  return integers;
}

}  // namespace node_cudnn::reference
