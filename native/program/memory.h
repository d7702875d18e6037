// One piece of a device's memory, counted while it lives. Made and destroyed on the device's thread.
#pragma once

#include <atomic>
#include <cstddef>

#include "backend/backend.h"

namespace node_cudnn {

class MemoryCount {
 public:
  void add(size_t bytes) {
    size_t now = bytes_ += bytes;
    if (now > peak_) peak_ = now;  // only the device's thread writes
  }
  void remove(size_t bytes) { bytes_ -= bytes; }
  size_t bytes() const { return bytes_; }
  size_t peak() const { return peak_; }

 private:
  std::atomic<size_t> bytes_ = 0;
  std::atomic<size_t> peak_ = 0;
};

class Memory {
 public:
  // Zeroed. Throws ERR_OUT_OF_MEMORY; `purpose` says what the bytes were for.
  Memory(Backend& backend, MemoryCount& count, size_t bytes, const std::string& purpose);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  void* at(size_t offset) const { return static_cast<std::byte*>(address_) + offset; }

 private:
  Backend& backend_;
  MemoryCount& count_;
  size_t bytes_;
  void* address_ = nullptr;
};

constexpr size_t alignment = 256;
inline size_t align(size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

}  // namespace node_cudnn
