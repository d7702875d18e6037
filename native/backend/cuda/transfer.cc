#include "backend/cuda/transfer.h"

#include <algorithm>
#include <cstring>

namespace node_cudnn::cuda {

namespace {

constexpr size_t small_bytes = size_t{64} << 10, small_slots = 16;
// Room for the inputs of a step while those of the step before are in use: 256 pictures of 224 x 224 are 37 MiB.
constexpr size_t large_bytes = size_t{8} << 20, large_slots = 6;

void allocate_pinned(std::byte*& address, size_t bytes) {
  check(cudaMallocHost(reinterpret_cast<void**>(&address), bytes), "cudaMallocHost");
}

cudaEvent_t make_event() {
  cudaEvent_t made = nullptr;
  check(cudaEventCreateWithFlags(&made, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  return made;
}

}  // namespace

Transfer::Transfer(cudaStream_t compute) : compute_(compute), small_{small_bytes}, large_{large_bytes} {
  try {
    check(cudaStreamCreateWithFlags(&copy_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    allocate_pinned(small_.host, small_slots * small_bytes);
    make_slots(small_, small_slots);
    allocate_pinned(large_.host, large_slots * large_bytes);
    check(cudaMalloc(reinterpret_cast<void**>(&large_.device), large_slots * large_bytes), "cudaMalloc");
    make_slots(large_, large_slots);
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

void Transfer::make_slots(Ring& ring, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const size_t begin = i * ring.bytes;
    Slot& slot = ring.slots.emplace_back(ring.host + begin, ring.device == nullptr ? nullptr : ring.device + begin);
    slot.done = make_event();
    slot.arrived = make_event();
  }
}

void Transfer::destroy(const Ring& ring) noexcept {
  for (const Slot& slot : ring.slots) {
    cudaEventDestroy(slot.done);
    cudaEventDestroy(slot.arrived);
  }
  cudaFree(ring.device);
  cudaFreeHost(ring.host);
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
