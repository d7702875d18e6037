// As cpu_kernels_test.cc, for the ops of networks beyond ResNet.
#include "cpu_kernels.h"

namespace node_cudnn::cpu {
namespace {

class CpuLayers : public CpuKernels {};

TEST_P(CpuLayers, Elementwise) {
  for (const DType dtype : dtypes)
    for (const Shape& shape : shapes) {
      const ValueType t = activation(dtype, shape), counter = plain(DType::int32, {1});
      Operand a = any(t);
      const Operand b = any(t), y{t, {}}, seed{counter, {-9}}, step{counter, {12}};
      a.numbers[3] = std::nan("");
      check({"mul", {a, b}, {y}, {}});
      check({"sigmoid", {a}, {y}, {}});
      check({"sigmoid_grad", {b, a}, {y}, {}});
      check({"tanh", {a}, {y}, {}});
      check({"tanh_grad", {b, a}, {y}, {}});
      check({"lerp", {a, b, any(t)}, {y}, {}});
      check({"lerp_grad", {b, a, any(t), any(t)}, {y, y, y}, {}});
      check({"dropout", {a, seed, step}, {y}, {{"p", 0.3}, {"stream", 1.0}}});
    }
}

TEST_P(CpuLayers, Concatenation) {
  for (const DType dtype : dtypes)
    for (const Shape& channels : {Shape{16, 32}, Shape{3, 5}, Shape{8, 24, 16}, Shape{12, 16, 4}}) {
      std::vector<Operand> parts;
      int64_t total = 0;
      for (const int64_t c : channels) {
        parts.push_back(any(activation(dtype, {3, c, 5, 7})));
        total += c;
      }
      const Operand whole = any(activation(dtype, {3, total, 5, 7}));
      check({"concat", parts, {{whole.type, {}}}, {}});
      double begin = 0;
      for (const Operand& part : parts) {
        check({"slice_channels", {whole}, {{part.type, {}}}, {{"begin", begin}}});
        begin += static_cast<double>(part.type.shape[1]);
      }
    }
}

TEST_P(CpuLayers, LocalResponse) {
  for (const DType dtype : dtypes)
    for (const Shape& shape : shapes)
      for (const double size : {1.0, 5.0, 99.0}) {
        const ValueType t = activation(dtype, shape);
        Operand x = any(t);
        const std::map<std::string, Attributes::Attribute> attributes = {
            {"size", size}, {"alpha", 0.7}, {"beta", 0.75}, {"k", 1.5}};
        check({"local_response_norm_grad", {any(t), x}, {{t, {}}}, attributes});
        x.numbers[5] = std::nan("");
        check({"local_response_norm", {x}, {{t, {}}}, attributes});
      }
}

TEST_P(CpuLayers, Pooling) {
  for (const DType dtype : dtypes)
    for (const Shape& shape : {Shape{2, 3, 9, 8}, Shape{3, 16, 9, 7}, Shape{1, 48, 6, 11}})
      for (const int64_t stride : {1, 2}) {
        const auto s = static_cast<double>(stride);
        std::map<std::string, Attributes::Attribute> window = {{"kernel", Numbers{3, 2}},
                                                               {"stride", Numbers{s, s}},
                                                               {"padding", Numbers{1, 0, 1, 1}},
                                                               {"dilation", Numbers{2, 1}}};
        const Shape out = {shape[0], shape[1], (shape[2] + 2 - 5) / stride + 1, (shape[3] + 1 - 2) / stride + 1};
        const ValueType t = activation(dtype, shape), y = activation(dtype, out), i = activation(DType::uint8, out);
        Operand x{t, integers(t, -2, 2)};  // ties
        x.numbers[7] = std::nan("");
        check({"max_pool2d", {x}, {{y, {}}, {i, {}}}, window});
        check({"max_pool2d_grad", {any(y), {i, integers(i, 0, 5)}}, {{t, {}}}, window});
        for (const double count_padding : {0.0, 1.0}) {
          window["count_include_pad"] = count_padding;
          check({"avg_pool2d", {any(t)}, {{y, {}}}, window});
          check({"avg_pool2d_grad", {any(y)}, {{t, {}}}, window});
        }
      }
}

// Inputs plain and in blocks, multipliers whose channels share a vector, straddle two, and fill several.
TEST_P(CpuLayers, DepthMultiplier) {
  for (const auto& [channels, multiplier] : {std::pair{3, 16}, {16, 2}, {16, 3}, {20, 4}, {32, 16}, {16, 1}})
    for (const int64_t stride : {1, 2}) {
      const auto s = static_cast<double>(stride), groups = static_cast<double>(channels);
      const std::map<std::string, Attributes::Attribute> attributes = {
          {"stride", Numbers{s, s}}, {"padding", Numbers{1, 2, 2, 1}}, {"dilation", Numbers{1, 2}}, {"groups", groups}};
      const int64_t outputs = channels * multiplier;
      const ValueType x = activation(DType::float32, {2, channels, 9, 11}),
                      y = activation(DType::float32, {2, outputs, (9 + 3 - 5) / stride + 1, (11 + 3 - 9) / stride + 1});
      const ValueType w = {DType::float32, Format::filter, {outputs, 1, 5, 5}}, b = plain(DType::float32, {outputs});
      if (multiplier > 1) check({"conv2d", {any(x), any(w), any(b)}, {{y, {}}}, attributes});
      if (multiplier > 1) check({"conv2d_dgrad", {any(y), any(w)}, {{x, {}}}, attributes});
      check({"conv2d_wgrad", {any(x), any(y)}, {{w, {}}}, attributes});
    }
}

TEST_P(CpuLayers, Loss) {
  for (const DType dtype : dtypes)
    for (const Shape& shape : {Shape{5, 10}, Shape{7, 37}, Shape{130, 1000}}) {
      const ValueType t = plain(dtype, shape), p = plain(DType::float32, shape), scalar = plain(DType::float32, {1}),
                      index = plain(DType::int32, {shape[0]});
      const Operand logits = any(t), y{p, uniform(p, 0, 1)}, one{scalar, {1.5}}, loss{scalar, {}}, dlogits{t, {}};
      const std::map<std::string, Attributes::Attribute> smoothing = {{"smoothing", 0.1}};
      check({"softmax", {logits}, {{p, {}}}, {}});
      check({"softmax_grad", {any(p), y}, {dlogits}, {}});
      const Operand labels{index, integers(index, -2, static_cast<int>(shape[1]) - 1)};  // some ignored, some wrong
      for (const Operand& targets : {y, labels}) {
        check({"sigmoid_cross_entropy", {logits, targets}, {loss}, smoothing});
        check({"sigmoid_cross_entropy_grad", {one, logits, targets}, {dlogits}, smoothing});
      }
    }
}

INSTANTIATE_TEST_SUITE_P(, CpuLayers, every_isa, isa_name);

}  // namespace
}  // namespace node_cudnn::cpu
