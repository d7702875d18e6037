// Marks in the compute stream, behind the steps that are in flight: each has an event, and a place in pinned memory for
// what kernels have complained of since the mark before. A step that throws while it is enqueued gets no mark; what its
// kernels complain of goes with it.
#pragma once

#include <array>

#include "backend/cuda/cuda.h"

namespace node_cudnn::cuda {

class Marks {
 public:
  Marks(cudaStream_t compute, const FaultSites& sites);
  ~Marks() { release(); }
  Marks(const Marks&) = delete;
  Marks& operator=(const Marks&) = delete;

  Fault* fault() const { return fault_; }  // where kernels complain, in device memory
  Wait add();                              // Backend::mark()

  // A part of a step, or of what leads to one.
  template <class Work>
  void keep_failure(const Work& work) {
    try {
      work();
    } catch (...) {
      failed_ = true;
      throw;
    }
  }

  template <class Launches>
  void launch(const Launches& launches) {
    keep_failure([&] {
      forget_failed();
      launches();
    });
  }

 private:
  struct Mark {
    cudaEvent_t passed = nullptr;
    Fault* found = nullptr;
  };

  void forget_failed();
  void wait(const Mark& mark) const;
  void release() noexcept;

  cudaStream_t compute_;
  const FaultSites& sites_;
  Fault* fault_ = nullptr;
  Fault* found_ = nullptr;  // pinned, one for every mark
  std::array<Mark, most_in_flight> marks_;
  size_t next_ = 0;
  bool failed_ = false;
};

}  // namespace node_cudnn::cuda
