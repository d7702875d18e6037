#include "cpu_kernels.h"

namespace node_cudnn::cpu {
namespace {

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
      for (const int least : {0, -1, -2}) {  // all valid; some ignored; some wrong, which the loss refuses
        const int classes = static_cast<int>(shape[1]);
        const ValueType t = plain(dtype, shape), p = plain(DType::float32, shape),
                        index = plain(DType::int32, {shape[0]});
        const ValueType scalar = plain(DType::float32, {1});
        Operand logits = any(t);
        for (double& x : logits.numbers) x *= 8;
        const Operand labels{index, integers(index, least, classes - 1)}, one = {scalar, {1.5}};
        const std::map<std::string, Attributes::Attribute> smoothing = {{"smoothing", 0.1}};
        if (least >= -1) check({"softmax_cross_entropy", {logits, labels}, {{scalar, {}}, {p, {}}}, smoothing});
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

INSTANTIATE_TEST_SUITE_P(, CpuKernels, every_isa, isa_name);

}  // namespace
}  // namespace node_cudnn::cpu
