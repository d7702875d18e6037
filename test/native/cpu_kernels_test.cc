// The CPU back end's own kernels, for every instruction set that this processor has, against the reference: outputs
// poisoned, in place wherever they allow it, and with the same bits for any number of threads.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "backend/cpu/ops.h"
#include "backend/cpu/processor.h"
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

using Prepares = std::function<Prepared(const Graph&, const Node&)>;

// Runs the case; with pair >= 0, in place with that pair of Prepared::in_place. No results: there is no such pair.
Results run(const OpCase& c, const Prepares& prepare, int64_t block, int pair = -1) {
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
  Results results;
  for (size_t i = 0; i < outputs.size(); ++i) results.push_back(load(c.outputs[i].type, block, outputs[i]));
  return results;
}

// Float32 sums of thousands of numbers of order 1, relative to the largest number of the output (or to 0.01, where they
// cancel); bfloat16 rounds to 2^-8.
double tolerance(const ValueType& type) { return type.dtype == DType::bfloat16 ? 1.0 / 256 : 1e-5; }

void expect_close(const OpCase& c, const Results& results, const Results& expected) {
  for (size_t o = 0; o < expected.size(); ++o) {
    double largest = 0.01;
    for (const double e : expected[o])
      if (std::abs(e) > largest) largest = std::abs(e);
    const bool exact = c.outputs[o].type.dtype == DType::int32;
    for (size_t i = 0; i < expected[o].size(); ++i) {
      const double e = expected[o][i], r = results[o][i];
      if (std::isnan(e) ? !std::isnan(r) : !(std::abs(r - e) <= (exact ? 0 : largest * tolerance(c.outputs[o].type))))
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

TEST_P(CpuKernels, BatchNorm) {
  for (const DType dtype : dtypes)
    for (const Shape& shape : shapes) {
      const ValueType t = activation(dtype, shape), s = plain(DType::float32, {shape[1]});
      const Operand x = any(t), dy = any(t), residual = any(t), bias = any(s), weight{s, uniform(s, 0.5, 2)};
      const Operand mean = any(s), spread{s, uniform(s, 0.5, 2)}, y{t, {}}, channel{s, {}};
      const std::vector<Operand> trained = {y, channel, channel, mean, spread}, gradients = {y, channel, channel};
      const std::map<std::string, Attributes::Attribute> training = {{"epsilon", 1e-5}, {"momentum", 0.1}};
      check({"batch_norm", {x, weight, bias}, trained, training});
      check({"batch_norm_relu", {x, weight, bias}, trained, training});
      check({"batch_norm_add_relu", {x, residual, weight, bias}, trained, training});
      check({"batch_norm_grad", {dy, x, weight, mean, spread}, gradients, {}});
      check({"batch_norm_relu_grad", {dy, x, weight, bias, mean, spread}, gradients, {}});
      check({"batch_norm_add_relu_grad", {dy, x, residual, weight, mean, spread}, {y, y, channel, channel}, {}});
      check({"batch_norm_inference", {x, weight, bias, mean, spread}, {y}, {{"epsilon", 1e-5}}});
      check({"batch_norm_inference_relu", {x, weight, bias, mean, spread}, {y}, {{"epsilon", 1e-5}}});
      check({"batch_norm_inference_add_relu", {x, residual, weight, bias, mean, spread}, {y}, {{"epsilon", 1e-5}}});
      check({"batch_norm_inference_grad", {dy, x, weight, mean, spread}, gradients, {{"epsilon", 1e-5}}});
    }
}

TEST_P(CpuKernels, VarianceSurvivesALargeMean) {
  const ValueType t = activation(DType::float32, {4, 16, 33, 31}), s = plain(DType::float32, {16});
  Operand x{t, normal(t)};
  for (double& number : x.numbers) number += 10000;
  const Operand ones{s, Numbers(16, 1)}, zeros{s, Numbers(16, 0)}, channel{s, {}};
  const OpCase c = {
      "batch_norm", {x, ones, zeros}, {{t, {}}, channel, channel, zeros, ones}, {{"epsilon", 1e-5}, {"momentum", 0.1}}};
  const Cpu cpu = {2, GetParam(), false, block()};
  const auto reference = make_reference_backend({});
  const Results expected = run(
      c, [&](const Graph& g, const Node& n) { return reference->prepare(g, n); }, 1);
  const Results results = run(
      c, [&](const Graph& g, const Node& n) { return find_op(c.op)(cpu, g, n); }, block());
  for (size_t i = 0; i < 16; ++i) EXPECT_NEAR(results[2][i] / expected[2][i], 1, 1e-6) << "invstd of channel " << i;
}

TEST_P(CpuKernels, Elementwise) {
  for (const DType dtype : dtypes)
    for (const Shape& shape : shapes) {
      const ValueType t = activation(dtype, shape);
      Operand a = any(t);
      const Operand b = any(t), y{t, {}};
      a.numbers[3] = std::nan("");
      check({"relu", {a}, {y}, {}});
      check({"relu_grad", {b, a}, {y}, {}});
      check({"add", {a, b}, {y}, {}});
      check({"bias_grad", {b}, {{plain(DType::float32, {shape[1]}), {}}}, {}});
      check({"fill", {}, {y}, {{"value", 0.3}}});
    }
}

TEST_P(CpuKernels, DataMovement) {
  for (const DType dtype : dtypes)
    for (const Shape& shape : shapes) {
      const Operand x = any(activation(dtype, shape));
      const ValueType flat = plain(dtype, {shape[0], shape[1] * shape[2] * shape[3]});
      check({"flatten", {x}, {{flat, {}}}, {}});
      check({"unflatten", {any(flat)}, {{x.type, {}}}, {}});
      for (const int64_t channels : {shape[1], 2 * shape[1], shape[1] / 16 * 16 + 32}) {
        const ValueType y = activation(dtype, {shape[0], channels, (shape[2] + 1) / 2, (shape[3] + 2) / 3});
        check({"subsample_pad", {x}, {{y, {}}}, {{"stride", Numbers{2, 3}}}});
        check({"subsample_pad_grad", {any(y)}, {{x.type, {}}}, {{"stride", Numbers{2, 3}}}});
      }
    }
}

TEST_P(CpuKernels, Loss) {
  for (const DType dtype : dtypes)
    for (const Shape& shape : {Shape{5, 10}, Shape{3, 16}, Shape{7, 37}, Shape{130, 1000}})
      for (const int least : {0, -1, -2}) {  // all valid; some ignored; some wrong
        const int classes = static_cast<int>(shape[1]);
        const ValueType t = plain(dtype, shape), p = plain(DType::float32, shape),
                        index = plain(DType::int32, {shape[0]});
        const ValueType scalar = plain(DType::float32, {1});
        Operand logits = any(t);
        for (double& x : logits.numbers) x *= 8;
        const Operand labels{index, integers(index, least, classes - 1)}, one = {scalar, {1.5}};
        const std::map<std::string, Attributes::Attribute> smoothing = {{"smoothing", 0.1}};
        check({"softmax_cross_entropy", {logits, labels}, {{scalar, {}}, {p, {}}}, smoothing});
        check({"softmax_cross_entropy_grad", {one, {p, uniform(p, 0, 1)}, labels}, {{t, {}}}, smoothing});
        check({"topk_correct", {{t, integers(t, 0, 9)}, labels}, {{plain(DType::int32, {1}), {}}}, {{"k", 5.0}}});
      }
}

TEST_P(CpuKernels, Augmentation) {
  const ValueType images = plain(DType::uint8, {6, 10, 11, 3}), number = plain(DType::int32, {1});
  for (const DType dtype : dtypes)
    for (const double flip : {0.0, 1.0})
      for (const int64_t rows : {6, 13}) {
        const Operand y{activation(dtype, {6, 3, rows, 9}), {}}, pixels{images, integers(images, 0, 255)};
        const std::map<std::string, Attributes::Attribute> attributes = {
            {"padding", 3.0}, {"flip", flip}, {"mean", Numbers{0.5, 0.4, 0.3}}, {"std", Numbers{0.2, 0.3, 0.25}}};
        check({"augment", {pixels}, {y}, attributes});
        check({"augment", {pixels, {number, {-5}}, {number, {41}}}, {y}, attributes});
      }
}

const ValueType scalar = plain(DType::float32, {1}), counter = plain(DType::int32, {1});
const std::vector<ValueType> parameter_types = {{DType::float32, Format::filter, {16, 3, 3, 3}},
                                                plain(DType::float32, {16}),
                                                plain(DType::float32, {100, 100}),
                                                scalar};

TEST_P(CpuKernels, Optimizer) {
  const std::vector<ValueType>& types = parameter_types;
  for (const double momentum : {0.0, 0.9})
    for (const double nesterov : {0.0, 1.0}) {
      if (momentum == 0 && nesterov != 0) continue;
      std::vector<Operand> gradients, parameters;
      for (const ValueType& type : types) gradients.push_back(any(type));
      for (const ValueType& type : types) parameters.push_back(any(type));
      if (momentum != 0)
        for (const ValueType& type : types) parameters.push_back(any(type));
      check({"clip_grad_norm", gradients, {{scalar, {}}, {scalar, {}}}, {{"max_norm", 5.0}}});
      gradients.insert(gradients.begin(), {{scalar, {0.05}}, {scalar, {0.3}}});
      check({"sgd_update",
             gradients,
             parameters,
             {{"momentum", momentum}, {"nesterov", nesterov}, {"weight_decay", 0.01}, {"scaled", 1.0}}});
    }
}

TEST_P(CpuKernels, AdaptiveOptimizers) {
  std::vector<Operand> gradients = {{scalar, {0.05}}, {counter, {7}}, {scalar, {0.3}}}, parameters, velocities;
  for (const ValueType& type : parameter_types) gradients.push_back(any(type));
  for (const ValueType& type : parameter_types) parameters.push_back(any(type));
  for (const ValueType& type : parameter_types) velocities.push_back(any(type));
  std::vector<Operand> moments = parameters;
  moments.insert(moments.end(), velocities.begin(), velocities.end());
  for (const ValueType& type : parameter_types) moments.push_back({type, integers(type, 1, 9)});
  for (const double decoupled : {0.0, 1.0})
    check({"adam_update",
           gradients,
           moments,
           {{"beta1", 0.9},
            {"beta2", 0.99},
            {"epsilon", 1e-8},
            {"weight_decay", 0.01},
            {"decoupled", decoupled},
            {"scaled", 1.0}}});
  std::vector<Operand> values(gradients.begin() + 2, gradients.end());
  values.front() = {counter, {7}};
  check({"ema_update", values, parameters, {{"decay", 0.9}}});
  gradients.erase(gradients.begin() + 1);
  parameters.insert(parameters.end(), velocities.begin(), velocities.end());
  check({"lars_update",
         gradients,
         parameters,
         {{"momentum", 0.9}, {"weight_decay", 0.01}, {"trust", 0.02}, {"scaled", 1.0}}});
}

TEST_P(CpuKernels, GatherRefusesAnIndexOutsideTheTable) {
  const ValueType table = plain(DType::float32, {9, 2}), index = plain(DType::int32, {1}),
                  y = plain(DType::float32, {1, 2});
  const Cpu cpu = {2, GetParam(), false, block()};
  const auto gather = [&](double row) {
    return run(
        {"gather", {any(table), {index, {row}}}, {{y, {}}}, {}},
        [&](const Graph& g, const Node& n) { return find_op(n.op)(cpu, g, n); }, block());
  };
  EXPECT_NO_THROW(gather(8));
  EXPECT_THROW(gather(9), std::out_of_range);
  EXPECT_THROW(gather(-1), std::out_of_range);
}

INSTANTIATE_TEST_SUITE_P(, CpuKernels, testing::Values(Isa::generic, Isa::avx2, Isa::avx512), [](const auto& info) {
  return info.param == Isa::avx512 ? "avx512" : info.param == Isa::avx2 ? "avx2" : "generic";
});

}  // namespace
}  // namespace node_cudnn::cpu
