#include "shared.h"

#include <sys/mman.h>

#include <cstring>
#include <new>
#include <string>

#include "block.h"
#include "races.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define __asan_poison_memory_region(address, bytes)
#define __asan_unpoison_memory_region(address, bytes)
#endif

namespace node_cudnn::simulation {
namespace {

constexpr size_t page = 4096, guard_bytes = 256, arena_bytes = size_t{512} << 10;
constexpr int undefined = 0xFF;  // NaN in every floating type

char* make_arena() {
  void* arena = mmap(nullptr, arena_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (arena == MAP_FAILED) throw std::bad_alloc();
  return static_cast<char*>(arena);
}

}  // namespace

// All of it is undefined before the first block, so that no thread of one has to make it so.
SharedMemory::SharedMemory() : arena_(make_arena()), used_(arena_bytes) {}

void SharedMemory::begin_block(size_t dynamic_bytes) {
  __asan_unpoison_memory_region(arena_, arena_bytes);
  races::forget(arena_, (used_ + page - 1) / page * page);
  std::memset(arena_, undefined, (used_ + page - 1) / page * page);
  __asan_poison_memory_region(arena_, arena_bytes);
  used_ = taken_ = count_ = 0;
  dynamic_ = take(dynamic_bytes);
}

char* SharedMemory::take(size_t bytes) {
  char* address = arena_ + used_;
  taken_ += bytes;
  used_ += (bytes + guard_bytes - 1) / guard_bytes * guard_bytes + guard_bytes;
  if (taken_ > Limits::shared_bytes || used_ > arena_bytes)
    throw KernelError("a kernel takes " + std::to_string(taken_) + " bytes of shared memory");
  __asan_unpoison_memory_region(address, bytes);
  return address;
}

void* SharedMemory::array(const void* site, size_t bytes) {
  for (size_t i = 0; i < count_; ++i)
    if (arrays_[i].site == site) return arrays_[i].address;
  if (count_ == most_arrays) throw KernelError("a kernel has too many shared arrays for the simulation");
  arrays_[count_] = {site, take(bytes), bytes};
  return arrays_[count_++].address;
}

}  // namespace node_cudnn::simulation
