#include "heap.h"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

thread_local int64_t count = 0;

void* try_to_allocate(size_t bytes, size_t alignment) noexcept {
  ++count;
  void* address = nullptr;
  return posix_memalign(&address, alignment, bytes == 0 ? 1 : bytes) == 0 ? address : nullptr;
}

void* allocate(size_t bytes, size_t alignment) {
  if (void* address = try_to_allocate(bytes, alignment)) return address;
  throw std::bad_alloc();
}

}  // namespace

int64_t node_cudnn::heap::calls() { return count; }

void* operator new(size_t bytes) { return allocate(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t alignment) { return allocate(bytes, static_cast<size_t>(alignment)); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return try_to_allocate(bytes, alignof(std::max_align_t));
}
void operator delete(void* address) noexcept { std::free(address); }
void operator delete(void* address, size_t) noexcept { std::free(address); }
void operator delete(void* address, std::align_val_t) noexcept { std::free(address); }
void operator delete(void* address, size_t, std::align_val_t) noexcept { std::free(address); }
