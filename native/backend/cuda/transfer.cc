#include "backend/cuda/transfer.h"

#include <algorithm>
#include <cstring>

namespace node_cudnn::cuda {

namespace {

constexpr size_t small_bytes = size_t{64} << 10, small_slots = 16;
constexpr size_t large_bytes = size_t{8} << 20, large_slots = 4;

}  // namespace

Transfer::Transfer(cudaStream_t compute) : compute_(compute), small_{{}, small_bytes}, large_{{}, large_bytes} {
  try {
    check(cudaStreamCreateWithFlags(&copy_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    for (size_t i = 0; i < small_slots; ++i) small_.slots.push_back(make_slot(small_bytes, false));
    for (size_t i = 0; i < large_slots; ++i) large_.slots.push_back(make_slot(large_bytes, true));
  } catch (...) {
    release();
    throw;
  }
}

Transfer::~Transfer() { release(); }

void Transfer::release() noexcept {
  destroy(small_);
  destroy(large_);
  if (copy_ != nullptr) cudaStreamDestroy(copy_);
}

void Transfer::destroy(const Ring& ring) noexcept {
  for (const Slot& slot : ring.slots) {
    cudaEventDestroy(slot.done);
    cudaEventDestroy(slot.arrived);
    cudaFree(slot.device);
    cudaFreeHost(slot.host);
  }
}

Transfer::Slot Transfer::make_slot(size_t bytes, bool on_device) {
  Ring made{{Slot()}, bytes};
  Slot& slot = made.slots.front();
  try {
    check(cudaEventCreateWithFlags(&slot.done, cudaEventDisableTiming), "cudaEventCreateWithFlags");
    check(cudaEventCreateWithFlags(&slot.arrived, cudaEventDisableTiming), "cudaEventCreateWithFlags");
    check(cudaMallocHost(reinterpret_cast<void**>(&slot.host), bytes), "cudaMallocHost");
    if (on_device) check(cudaMalloc(reinterpret_cast<void**>(&slot.device), bytes), "cudaMalloc");
  } catch (...) {
    destroy(made);
    throw;
  }
  return slot;
}

// The slot that was used longest ago, when the device is done with it.
Transfer::Slot& Transfer::take(Ring& ring) {
  Slot& slot = ring.slots[ring.next];
  ring.next = (ring.next + 1) % ring.slots.size();
  check(cudaEventSynchronize(slot.done), "cudaEventSynchronize");
  return slot;
}

void Transfer::write(const void* host, size_t bytes, void* device) {
  const bool large = bytes > small_bytes;
  Ring& ring = large ? large_ : small_;
  for (size_t begin = 0; begin < bytes; begin += ring.bytes) {
    const size_t length = std::min(ring.bytes, bytes - begin);
    std::byte* target = static_cast<std::byte*>(device) + begin;
    Slot& slot = take(ring);
    std::memcpy(slot.host, static_cast<const std::byte*>(host) + begin, length);
    if (large) {
      write_large(slot, length, target);
    } else {
      check(cudaMemcpyAsync(target, slot.host, length, cudaMemcpyHostToDevice, compute_), "cudaMemcpyAsync");
    }
    check(cudaEventRecord(slot.done, compute_), "cudaEventRecord");
  }
}

void Transfer::write_large(Slot& slot, size_t bytes, void* device) {
  check(cudaMemcpyAsync(slot.device, slot.host, bytes, cudaMemcpyHostToDevice, copy_), "cudaMemcpyAsync");
  check(cudaEventRecord(slot.arrived, copy_), "cudaEventRecord");
  check(cudaStreamWaitEvent(compute_, slot.arrived, 0), "cudaStreamWaitEvent");
  check(cudaMemcpyAsync(device, slot.device, bytes, cudaMemcpyDeviceToDevice, compute_), "cudaMemcpyAsync");
}

void Transfer::read(const void* device, size_t bytes, void* host) {
  for (size_t begin = 0; begin < bytes; begin += large_.bytes) {
    const size_t length = std::min(large_.bytes, bytes - begin);
    Slot& slot = take(large_);
    check(cudaMemcpyAsync(slot.host, static_cast<const std::byte*>(device) + begin, length, cudaMemcpyDeviceToHost,
                          compute_),
          "cudaMemcpyAsync");
    check(cudaStreamSynchronize(compute_), "cudaStreamSynchronize");
    std::memcpy(static_cast<std::byte*>(host) + begin, slot.host, length);
  }
}

}  // namespace node_cudnn::cuda
