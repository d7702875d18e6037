#include "backend/cuda/marks.h"

#include "backend/cuda/fault.h"
#include "program/error.h"

namespace node_cudnn::cuda {

Marks::Marks(cudaStream_t compute, const FaultSites& sites) : compute_(compute), sites_(sites) {
  try {
    check(cudaMalloc(reinterpret_cast<void**>(&fault_), sizeof *fault_), "cudaMalloc");
    check(cudaMemsetAsync(fault_, 0, sizeof *fault_, compute_), "cudaMemsetAsync");
    check(cudaMallocHost(reinterpret_cast<void**>(&found_), marks_.size() * sizeof *found_), "cudaMallocHost");
    for (size_t i = 0; i < marks_.size(); ++i) {
      marks_[i].found = found_ + i;
      check(cudaEventCreateWithFlags(&marks_[i].passed, cudaEventDisableTiming), "cudaEventCreateWithFlags");
    }
  } catch (...) {
    release();
    throw;
  }
}

void Marks::release() noexcept {
  for (const Mark& mark : marks_)
    if (mark.passed != nullptr) cudaEventDestroy(mark.passed);
  cudaFreeHost(found_);
  cudaFree(fault_);
}

void Marks::forget_failed() {
  if (!failed_) return;
  check(cudaMemsetAsync(fault_, 0, sizeof *fault_, compute_), "cudaMemsetAsync");
  failed_ = false;
}

Wait Marks::add() {
  const Mark& mark = marks_[next_];
  launch([&] {
    check(cudaMemcpyAsync(mark.found, fault_, sizeof *fault_, cudaMemcpyDeviceToHost, compute_), "cudaMemcpyAsync");
    check(cudaMemsetAsync(fault_, 0, sizeof *fault_, compute_), "cudaMemsetAsync");
    check(cudaEventRecord(mark.passed, compute_), "cudaEventRecord");
  });
  next_ = (next_ + 1) % marks_.size();
  return [this, &mark] { wait(mark); };
}

void Marks::wait(const Mark& mark) const {
  check(cudaEventSynchronize(mark.passed), "cudaEventSynchronize");
  if (mark.found->site != 0) throw Error(ErrorCode::argument, sites_.message(*mark.found));
}

}  // namespace node_cudnn::cuda
