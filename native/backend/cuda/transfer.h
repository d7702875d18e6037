// Copies between pageable host memory and the device, through pinned slots made once. Large pieces go to the device on
// a stream of their own, beside the kernels of the steps before, and from there to their place in the stream's order.
#pragma once

#include <cstddef>
#include <vector>

#include "backend/cuda/cuda.h"

namespace node_cudnn::cuda {

class Transfer {
 public:
  explicit Transfer(cudaStream_t compute);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // `host` is free again on return; `device` has the bytes before what is enqueued later.
  void write(const void* host, size_t bytes, void* device);
  // Waits for all that was enqueued.
  void read(const void* device, size_t bytes, void* host);

 private:
  struct Slot {
    std::byte* host;
    std::byte* device;              // nullptr in small slots
    cudaEvent_t arrived = nullptr;  // of large slots: on the device
    cudaEvent_t done = nullptr;     // what was in the slot is where it belongs
  };
  struct Ring {
    size_t bytes;                 // of a slot
    std::byte* host = nullptr;    // pinned
    std::byte* device = nullptr;  // of large slots
    std::vector<Slot> slots = {};
    size_t next = 0;
  };

  static void make_slots(Ring& ring, size_t count);
  static void destroy(const Ring& ring) noexcept;
  static Slot& take(Ring& ring);
  void release() noexcept;
  void write_large(Slot& slot, size_t bytes, void* device);

  cudaStream_t compute_;
  cudaStream_t copy_ = nullptr;
  Ring small_, large_;
};

}  // namespace node_cudnn::cuda
