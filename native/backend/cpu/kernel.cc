#include "backend/cpu/kernel.h"

#include <stdexcept>

namespace node_cudnn::cpu {
namespace {

std::string describe(const ValueType& type) {
  const char* format = type.format == Format::activation ? " activation "
                       : type.format == Format::filter   ? " filter "
                                                         : " ";
  return name_of(type.dtype) + std::string(format) + to_string(type.shape);
}

}  // namespace

void expect(bool holds, const std::string& what) {
  if (!holds) throw std::invalid_argument(what);
}

void expect_counts(const Node& node, size_t inputs, size_t outputs) {
  expect(node.inputs.size() == inputs && node.outputs.size() == outputs,
         "takes " + std::to_string(inputs) + " inputs and " + std::to_string(outputs) + " outputs, not " +
             std::to_string(node.inputs.size()) + " and " + std::to_string(node.outputs.size()));
}

void expect_type(const char* role, const ValueType& type, const ValueType& expected) {
  expect(type == expected, std::string(role) + " must be " + describe(expected) + ", not " + describe(type));
}

void expect_float(const char* role, const ValueType& type) {
  expect(type.dtype == DType::float32 || type.dtype == DType::bfloat16,
         std::string(role) + " is " + describe(type) +
             ", but the device cpu computes in float32 and bfloat16; the device reference has float64");
}

Layout expect_activation(const Cpu& cpu, const char* role, const ValueType& type) {
  expect(type.format == Format::activation && type.shape.size() == 4,
         std::string(role) + " must be an activation [N, C, H, W], not " + describe(type));
  expect_float(role, type);
  return activation_layout(cpu, type.shape);
}

int64_t expect_integer(const Node& node, const char* key, int64_t least) {
  const int64_t value = node.attributes.integer(key);
  expect(value >= least, "attribute " + std::string(key) + " must be at least " + std::to_string(least) + ", not " +
                             std::to_string(value));
  return value;
}

double expect_number(const Node& node, const char* key, double least, double most) {
  const double value = node.attributes.number(key);
  expect(value >= least && value <= most, "attribute " + std::string(key) + " must lie between " +
                                              std::to_string(least) + " and " + std::to_string(most) + ", not " +
                                              std::to_string(value));
  return value;
}

std::string simd_name(const Cpu& cpu) {
  return cpu.isa == Isa::avx512 ? "simd:avx512" : cpu.isa == Isa::avx2 ? "simd:avx2" : "simd:generic";
}

std::vector<Stretch> stretches(const std::vector<int64_t>& counts) {
  constexpr int64_t length = 4096;
  std::vector<Stretch> result;
  for (size_t i = 0; i < counts.size(); ++i)
    for (int64_t begin = 0; begin < counts[i]; begin += length)
      result.push_back({i, begin, std::min(begin + length, counts[i])});
  return result;
}

}  // namespace node_cudnn::cpu
