#include "backend/cuda/stopwatch.h"

#include <algorithm>

namespace node_cudnn::cuda {

namespace {

constexpr int runs = 5;
constexpr int pattern = 0x3c;  // a small number above zero in every float type

}  // namespace

Stopwatch::Stopwatch(const Cuda& cuda, const std::vector<size_t>& input_bytes, const std::vector<size_t>& output_bytes)
    : cuda_(cuda), flush_(std::max<size_t>(cuda.l2_bytes, 1)) {
  const auto add = [this](size_t bytes) {
    operands_.push_back(std::make_unique<Scratch>(bytes));
    fill(*operands_.back(), bytes);
    return operands_.back()->address();
  };
  for (const size_t bytes : input_bytes) inputs_.push_back(add(bytes));
  for (const size_t bytes : output_bytes) outputs_.push_back(add(bytes));
  check(cudaEventCreateWithFlags(&begin_, cudaEventDefault), "cudaEventCreateWithFlags");
  const cudaError_t status = cudaEventCreateWithFlags(&end_, cudaEventDefault);
  if (status != cudaSuccess) cudaEventDestroy(begin_);
  check(status, "cudaEventCreateWithFlags");
}

Stopwatch::~Stopwatch() {
  cudaEventDestroy(begin_);
  cudaEventDestroy(end_);
}

void Stopwatch::fill(const Scratch& scratch, size_t bytes) {
  check(cudaMemsetAsync(scratch.address(), pattern, bytes, cuda_.stream), "cudaMemsetAsync");
}

float Stopwatch::run(const std::function<void()>& work) {
  fill(flush_, std::max<size_t>(cuda_.l2_bytes, 1));
  check(cudaEventRecord(begin_, cuda_.stream), "cudaEventRecord");
  work();
  check(cudaEventRecord(end_, cuda_.stream), "cudaEventRecord");
  check(cudaEventSynchronize(end_), "cudaEventSynchronize");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, begin_, end_), "cudaEventElapsedTime");
  return milliseconds;
}

float Stopwatch::milliseconds(Plan& plan) {
  const Scratch workspace(std::max<size_t>(plan.workspace_bytes(), 1));
  return milliseconds([&] { plan.run(cuda_.stream, {inputs_.data(), outputs_.data(), workspace.address()}); });
}

float Stopwatch::milliseconds(const std::function<void()>& work) {
  run(work);
  std::vector<float> times;
  for (int i = 0; i < runs; ++i) times.push_back(run(work));
  std::nth_element(times.begin(), times.begin() + runs / 2, times.end());
  return times[runs / 2];
}

}  // namespace node_cudnn::cuda
