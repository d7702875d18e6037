#include "backend/cuda/stopwatch.h"

#include <algorithm>

namespace node_cudnn::cuda {

namespace {

constexpr int runs = 5;

// Twice the cache: to write as much as it holds may leave some of what it held.
size_t flush_bytes(const Cuda& cuda) { return std::max<size_t>(2 * cuda.l2_bytes, 1); }

}  // namespace

Stopwatch::Stopwatch(const Cuda& cuda, const std::vector<size_t>& input_bytes, const std::vector<size_t>& output_bytes,
                     int pattern)
    : cuda_(cuda), flush_bytes_(flush_bytes(cuda)), flush_(flush_bytes_) {
  const auto add = [&](size_t bytes) {
    operands_.push_back(std::make_unique<Scratch>(bytes));
    fill(*operands_.back(), bytes, pattern);
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

void Stopwatch::fill(const Scratch& scratch, size_t bytes, int pattern) {
  check(cudaMemsetAsync(scratch.address(), pattern, bytes, cuda_.stream), "cudaMemsetAsync");
}

void* Stopwatch::workspace(size_t bytes) {
  if (!workspace_ || workspace_bytes_ < bytes) {
    workspace_.reset();  // before the next: there may be no room for both
    workspace_ = std::make_unique<Scratch>(std::max<size_t>(bytes, 1));
    workspace_bytes_ = bytes;
  }
  return workspace_->address();
}

float Stopwatch::run(Replay& replay) {
  fill(flush_, flush_bytes_, small_number);
  check(cudaEventRecord(begin_, cuda_.stream), "cudaEventRecord");
  replay.run();
  check(cudaEventRecord(end_, cuda_.stream), "cudaEventRecord");
  check(cudaEventSynchronize(end_), "cudaEventSynchronize");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, begin_, end_), "cudaEventElapsedTime");
  return milliseconds;
}

float Stopwatch::milliseconds(Plan& plan, float limit) {
  void* const rest = workspace(plan.workspace_bytes());
  return milliseconds([&] { plan.run(cuda_.stream, {inputs_.data(), outputs_.data(), rest}); }, limit);
}

float Stopwatch::milliseconds(const std::function<void()>& work, float limit) {
  work();  // loads what is loaded lazily
  Replay replay(cuda_.stream, work);
  std::vector<float> times{run(replay)};
  if (times.front() >= 2 * limit) return times.front();
  while (times.size() < runs) times.push_back(run(replay));
  std::nth_element(times.begin(), times.begin() + runs / 2, times.end());
  return times[runs / 2];
}

}  // namespace node_cudnn::cuda
