// What the ops of this back end share on the host's side: checks, typed addresses, and a kernel made of a function.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/cuda.h"

namespace node_cudnn::cuda {

// Sizes of an activation, stored [n][h][w][c].
struct Dims {
  int64_t n, c, h, w;
  int64_t plane() const { return h * w; }
  int64_t pixels() const { return n * h * w; }
  int64_t size() const { return n * h * w * c; }
};

// Second line of defence behind lib/ops. The caller of prepare adds the op, its path and all types.
void expect(bool holds, const std::string& what);
void expect_counts(const Node& node, size_t inputs, size_t outputs);
void expect_type(const char* role, const ValueType& type, const ValueType& expected);
void expect_float(const char* role, const ValueType& type);  // "F" of docs/ops.md
Dims expect_activation(const char* role, const ValueType& type);
int64_t expect_integer(const Node& node, const char* key, int64_t least);
double expect_number(const Node& node, const char* key, double least, double most);
// The inputs or outputs from `first` on are one float32 per channel.
void expect_channel_inputs(const Graph& graph, const Node& node, size_t first, int64_t channels,
                           const std::vector<const char*>& roles);
void expect_channel_outputs(const Graph& graph, const Node& node, size_t first, int64_t channels,
                            const std::vector<const char*>& roles);

inline ValueType plain(DType dtype, Shape shape) { return {dtype, Format::plain, std::move(shape)}; }

using InPlace = std::vector<std::pair<int, int>>;

template <class Run>
class FunctionKernel final : public Kernel {
 public:
  explicit FunctionKernel(Run run) : run_(std::move(run)) {}
  void run(const Arguments& arguments) override { run_(arguments); }

 private:
  Run run_;
};

template <class Run>
Prepared prepared(std::string implementation, Run run, size_t workspace_bytes = 0, InPlace in_place = {}) {
  return {std::make_unique<FunctionKernel<Run>>(std::move(run)), workspace_bytes, std::move(implementation),
          std::move(in_place)};
}

template <class T>
const T* input(const Arguments& arguments, size_t i) {
  return static_cast<const T*>(arguments.inputs[i]);
}
template <class T>
T* output(const Arguments& arguments, size_t i) {
  return static_cast<T*>(arguments.outputs[i]);
}

// cast.cu: `count` numbers of a half type as float32.
void widen(Cuda& cuda, DType from, const void* source, float* target, int64_t count);
// And back.
void narrow(Cuda& cuda, const float* source, DType to, void* target, int64_t count);

// channels.cu: `rows` neighbours of `from` channels as neighbours of `to`: more are zeros, less are left out.
void resize_channels(Cuda& cuda, DType dtype, const void* source, int64_t rows, int64_t from, int64_t to, void* target);
// relu.cu: y = relu(y), or relu(y + residual) where there is one.
void rectify(Cuda& cuda, DType dtype, void* y, const void* residual, int64_t count);
// statistics.cu: of y [rows][channels], over the rows of each channel.
void sum_channels(Cuda& cuda, DType dtype, const void* y, int64_t rows, int64_t channels, float* sum, float* square_sum,
                  void* workspace);
size_t sum_channels_bytes(const Cuda& cuda, DType dtype, int64_t rows, int64_t channels);

}  // namespace node_cudnn::cuda
