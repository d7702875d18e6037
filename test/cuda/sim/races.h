// What ThreadSanitizer is told where the process runs under it (LD_PRELOAD; the kernels compiled for it, the simulation
// itself not): every thread of a block is a thread of its own, nothing but barriers and warp operations puts two of
// them in order, and blocks of one kernel are in no order at all. Elsewhere nothing here does anything.
#pragma once

#include <cstddef>

namespace node_cudnn::simulation::races {

bool watched();

// What was done before release() comes before what is done after a later acquire() of the same place.
void release(const void* place);
void acquire(const void* place);

// Whole pages, accesses to which are forgotten together with their content.
void forget(void* pages, size_t bytes);

// The thread that a fiber is.
class Thread {
 public:
  Thread();
  ~Thread();
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  void enter();  // just before the stacks change
  void leave();

 private:
  void *own_ = nullptr, *host_ = nullptr;
};

}  // namespace node_cudnn::simulation::races
