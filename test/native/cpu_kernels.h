// Runs the CPU back end's own kernels, for every instruction set that this processor has, against the reference:
// outputs poisoned, in place and inside other values wherever they allow it, and with the same bits for any number of
// threads.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "backend/cpu/ops.h"
#include "backend/cpu/processor.h"
#include "backend/cpu/slices.h"
#include "backend/reference/reference.h"
#include "heap.h"
#include "program/bfloat16.h"

namespace node_cudnn::cpu {
namespace {

using Numbers = std::vector<double>;
using Results = std::vector<Numbers>;

struct Operand {
  ValueType type;
  Numbers numbers;  // in logical order; none for an output that is only written
};

struct OpCase {
  std::string op;
  std::vector<Operand> inputs, outputs;
  std::map<std::string, Attributes::Attribute> attributes;
};

ValueType activation(DType dtype, Shape shape) { return {dtype, Format::activation, std::move(shape)}; }
ValueType plain(DType dtype, Shape shape) { return {dtype, Format::plain, std::move(shape)}; }

double get(DType dtype, const char* p) {
  if (dtype == DType::bfloat16) return double{static_cast<float>(*reinterpret_cast<const bfloat16*>(p))};
  if (dtype == DType::float32) return double{*reinterpret_cast<const float*>(p)};
  return dtype == DType::int32 ? *reinterpret_cast<const int32_t*>(p) : *reinterpret_cast<const uint8_t*>(p);
}

void put(DType dtype, char* p, double number) {
  switch (dtype) {
    case DType::bfloat16:
      *reinterpret_cast<bfloat16*>(p) = bfloat16(static_cast<float>(number));
      break;
    case DType::float32:
      *reinterpret_cast<float*>(p) = static_cast<float>(number);
      break;
    case DType::int32:
      *reinterpret_cast<int32_t*>(p) = static_cast<int32_t>(number);
      break;
    default:
      *reinterpret_cast<uint8_t*>(p) = static_cast<uint8_t>(number);
  }
}

// Where element i of the logical order lies; `block` is Cpu::block, or 1 for the reference.
int64_t position(const ValueType& type, int64_t block, int64_t i) {
  if (type.format != Format::activation) return i;
  const int64_t plane = type.shape[2] * type.shape[3], c = type.shape[1];
  const int64_t b = c % block == 0 ? block : 1, channel = i / plane % c;
  return (i / plane / c * c + channel / b * b) * plane + i % plane * b + channel % b;
}

struct Free {
  void operator()(char* p) const { std::free(p); }
};
using Memory = std::unique_ptr<char, Free>;

Memory poisoned(size_t bytes) {
  const size_t size = (bytes / 256 + 1) * 256;
  return Memory(static_cast<char*>(std::memset(std::aligned_alloc(256, size), 0xFF, size)));
}

Memory store(const Operand& operand, int64_t block) {
  const DType dtype = operand.type.dtype;
  Memory memory = poisoned(static_cast<size_t>(elements(operand.type.shape)) * size_of(dtype));
  for (size_t i = 0; i < operand.numbers.size(); ++i)
    put(dtype, memory.get() + position(operand.type, block, static_cast<int64_t>(i)) * int64_t(size_of(dtype)),
        operand.numbers[i]);
  return memory;
}

Numbers load(const ValueType& type, int64_t block, const void* memory) {
  Numbers numbers(static_cast<size_t>(elements(type.shape)));
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = get(type.dtype, static_cast<const char*>(memory) + position(type, block, static_cast<int64_t>(i)) *
                                                                        static_cast<int64_t>(size_of(type.dtype)));
  return numbers;
}

// A value between other channels, which no kernel may touch.
class Whole {
 public:
  Whole(Graph& graph, int part, int64_t block, const void* dense) {
    const ValueType type = graph.values[static_cast<size_t>(part)].type;
    const int64_t channels = type.shape[1], unit = channels % block == 0 ? block : 1;
    ValueType whole = type;
    whole.shape[1] += unit > 1 ? 2 * block : (channels + 3) % block == 0 ? 4 : 3;
    graph.values[static_cast<size_t>(part)].whole = static_cast<int>(graph.values.size());
    graph.values[static_cast<size_t>(part)].first_channel = unit;
    graph.values.push_back({"", whole});
    const auto plane = static_cast<size_t>(type.shape[2] * type.shape[3]) * size_of(type.dtype);
    images_ = static_cast<size_t>(type.shape[0]);
    image_ = static_cast<size_t>(channels) * plane;
    distance_ = static_cast<size_t>(whole.shape[1]) * plane;
    offset_ = offset_in({1, Isa::generic, false, block}, whole, type, unit).value();
    memory_ = poisoned(images_ * distance_);
    for (size_t n = 0; n < images_; ++n)
      std::memcpy(address() + n * distance_, static_cast<const char*>(dense) + n * image_, image_);
  }

  char* address() const { return memory_.get() + offset_; }

  void take_out(void* dense) const {
    for (size_t n = 0; n < images_; ++n) {
      std::memcpy(static_cast<char*>(dense) + n * image_, address() + n * distance_, image_);
      std::memset(address() + n * distance_, 0xFF, image_);
    }
    for (size_t i = 0; i < images_ * distance_; ++i)
      if (memory_.get()[i] != '\xFF') FAIL() << "a neighbour of a value inside another one was written";
  }

 private:
  size_t images_, image_, distance_, offset_;  // bytes, the first apart
  Memory memory_;
};

using Prepares = std::function<Prepared(const Graph&, const Node&)>;

constexpr int nothing_in_place = -1, inside_others = -2;

// Runs the case; with pair >= 0, in place with that pair of Prepared::in_place. No results: there is no such pair.
Results run(const OpCase& c, const Prepares& prepare, int64_t block, int pair = nothing_in_place) {
  Graph graph;
  Node node{c.op, "layer1.0", {}, {}, {}};
  for (const auto& [key, value] : c.attributes) node.attributes.set(key, value);
  std::vector<Memory> memory;
  std::vector<void*> inputs, outputs;
  const auto add = [&](const Operand& operand, std::vector<int>& ids, std::vector<void*>& addresses) {
    ids.push_back(static_cast<int>(graph.values.size()));
    graph.values.push_back({"", operand.type});
    memory.push_back(store(operand, block));
    addresses.push_back(memory.back().get());
  };
  for (const Operand& operand : c.inputs) add(operand, node.inputs, inputs);
  for (const Operand& operand : c.outputs) add(operand, node.outputs, outputs);
  std::vector<std::unique_ptr<Whole>> wholes;
  const auto put_inside = [&](const std::vector<int>& ids, std::vector<void*>& addresses) {
    for (size_t i = 0; i < ids.size(); ++i) {
      wholes.push_back(nullptr);
      if (graph.values[static_cast<size_t>(ids[i])].type.format != Format::activation) continue;
      if (!takes_slice({1, Isa::generic, false, block}, graph, node, ids[i])) continue;
      wholes.back() = std::make_unique<Whole>(graph, ids[i], block, addresses[i]);
      addresses[i] = wholes.back()->address();
    }
  };
  if (pair == inside_others) {
    put_inside(node.inputs, inputs);
    put_inside(node.outputs, outputs);
  }
  const Prepared prepared = prepare(graph, node);
  if (pair >= static_cast<int>(prepared.in_place.size())) return {};
  if (pair >= 0) {
    const auto& [output, input] = prepared.in_place[static_cast<size_t>(pair)];
    outputs[static_cast<size_t>(output)] = inputs[static_cast<size_t>(input)];
  }
  const Memory workspace = poisoned(prepared.workspace_bytes);
  const int64_t heap_calls = heap::calls();
  prepared.kernel->run({inputs.data(), outputs.data(), workspace.get()});
  EXPECT_EQ(heap::calls(), heap_calls) << c.op << " allocates while it runs";
  for (size_t i = 0; i < wholes.size(); ++i)
    if (wholes[i]) wholes[i]->take_out(memory[i].get());
  if (pair == inside_others)
    for (size_t i = 0; i < outputs.size(); ++i) outputs[i] = memory[inputs.size() + i].get();
  Results results;
  for (size_t i = 0; i < outputs.size(); ++i) results.push_back(load(c.outputs[i].type, block, outputs[i]));
  return results;
}

// Float32 sums of thousands of numbers of order 1, relative to the largest number of the output (or to 0.01, where they
// cancel); bfloat16 rounds to 2^-8 of that, and at the border between two numbers perhaps to the neighbour, 2^-7 away.
inline double allowed(DType dtype, double largest, double number) {
  if (dtype == DType::int32) return 0;
  return dtype == DType::bfloat16 ? std::max(largest / 256, std::abs(number) / 128) : largest * 1e-5;
}

void expect_close(const OpCase& c, const Results& results, const Results& expected) {
  for (size_t o = 0; o < expected.size(); ++o) {
    double largest = 0.01;
    for (const double e : expected[o])
      if (std::abs(e) > largest) largest = std::abs(e);
    for (size_t i = 0; i < expected[o].size(); ++i) {
      const double e = expected[o][i], r = results[o][i];
      if (std::isnan(e) ? !std::isnan(r) : !(std::abs(r - e) <= allowed(c.outputs[o].type.dtype, largest, e)))
        FAIL() << c.op << " " << to_string(c.outputs[o].type.shape) << ": output " << o << " at " << i << " is " << r
               << ", the reference has " << e;
    }
  }
}

bool same_bits(const Results& a, const Results& b) {
  for (size_t o = 0; o < a.size(); ++o)
    if (std::memcmp(a[o].data(), b[o].data(), a[o].size() * sizeof(double)) != 0) return false;
  return true;
}

class CpuKernels : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (GetParam() > detect_cpu(1).isa) GTEST_SKIP() << "this processor lacks the instruction set";
  }

  Numbers normal(const ValueType& type, double mean = 0) {
    Numbers numbers(static_cast<size_t>(elements(type.shape)));
    std::normal_distribution<double> distribution(mean, 1);
    // Through the storage type, so that both back ends are given the same numbers.
    for (double& x : numbers) x = double{static_cast<float>(bfloat16(static_cast<float>(distribution(random_))))};
    return numbers;
  }
  Numbers uniform(const ValueType& type, double low, double high) {
    Numbers numbers(static_cast<size_t>(elements(type.shape)));
    std::uniform_real_distribution<double> distribution(low, high);
    for (double& x : numbers) x = distribution(random_);
    return numbers;
  }
  Numbers integers(const ValueType& type, int low, int high) {
    Numbers numbers = uniform(type, low, high + 1);
    for (double& x : numbers) x = std::floor(x);
    return numbers;
  }
  Operand any(const ValueType& type) { return {type, normal(type)}; }

  void check(const OpCase& c) {
    const auto reference = make_reference_backend({});
    const auto prepare = [&](int threads) -> Prepares {
      const Cpu cpu = {threads, GetParam(), false, block()};
      return [=, &c](const Graph& graph, const Node& node) { return find_op(c.op)(cpu, graph, node); };
    };
    const Results expected = run(
        c, [&](const Graph& g, const Node& n) { return reference->prepare(g, n); }, 1);
    const Results results = run(c, prepare(1), block());
    expect_close(c, results, expected);
    EXPECT_TRUE(same_bits(run(c, prepare(3), block()), results)) << c.op << " differs with three threads";
    EXPECT_TRUE(same_bits(run(c, prepare(3), block(), inside_others), results)) << c.op << " differs inside others";
    for (int pair = 0;; ++pair) {
      const Results in_place = run(c, prepare(2), block(), pair);
      if (in_place.empty()) break;
      EXPECT_TRUE(same_bits(in_place, results)) << c.op << " differs in place, pair " << pair;
    }
  }

  int64_t block() const { return GetParam() == Isa::avx512 ? 16 : 8; }

  std::mt19937 random_{7};
};

// Channels in whole blocks and not, planes of one vector, of odd sizes, and of more than one piece.
const std::vector<Shape> shapes = {{2, 3, 5, 7},    {5, 16, 7, 9},  {3, 20, 1, 3},
                                   {2, 16, 67, 65}, {33, 48, 4, 4}, {2, 1, 70, 61}};
const std::vector<DType> dtypes = {DType::float32, DType::bfloat16};

inline std::string isa_name(const testing::TestParamInfo<Isa>& info) {
  return info.param == Isa::avx512 ? "avx512" : info.param == Isa::avx2 ? "avx2" : "generic";
}

const auto every_isa = testing::Values(Isa::generic, Isa::avx2, Isa::avx512);

}  // namespace
}  // namespace node_cudnn::cpu
