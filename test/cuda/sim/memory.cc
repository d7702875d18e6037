#include "memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define __asan_poison_memory_region(address, bytes)
#define __asan_unpoison_memory_region(address, bytes)
#endif

namespace node_cudnn::simulation {
namespace {

constexpr size_t page = 4096;
constexpr int undefined = 0xFF;  // NaN in every floating type

struct Memory {
  std::mutex mutex;
  std::map<uintptr_t, size_t> device, pinned;  // by address: bytes asked for
  size_t capacity = size_t{4} << 30, used = 0;
  int open = 0;
};

Memory& memory() {
  static Memory& one = *new Memory;
  return one;
}

size_t in_pages(size_t bytes) { return (bytes + page - 1) / page * page; }

bool holds(const std::map<uintptr_t, size_t>& blocks, const void* address, size_t bytes) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  auto next = blocks.upper_bound(at);
  if (next == blocks.begin()) return false;
  const auto& [begin, size] = *--next;
  return at + bytes <= begin + size;
}

void protect(int protection) {
  for (const auto& [begin, size] : memory().device)
    mprotect(reinterpret_cast<void*>(begin), in_pages(size), protection);
}

// What lies between the end of a block and the end of its last page must be as it was made.
void check_guard(const char* begin, size_t bytes) {
  __asan_unpoison_memory_region(begin + bytes, in_pages(bytes) - bytes);
  for (size_t i = bytes; i < in_pages(bytes); ++i) {
    if (static_cast<unsigned char>(begin[i]) == undefined) continue;
    std::fprintf(stderr, "simulated device: byte %zu behind a block of %zu was overwritten\n", i - bytes, bytes);
    std::abort();
  }
}

}  // namespace

void* allocate_device(size_t bytes) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  if (bytes == 0 || bytes > m.capacity - m.used) return nullptr;
  const size_t size = in_pages(bytes);
  void* raw = mmap(nullptr, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  char* begin = static_cast<char*>(raw) + page;
  mprotect(begin, size, PROT_READ | PROT_WRITE);
  std::memset(begin, undefined, size);
  __asan_poison_memory_region(begin + bytes, size - bytes);
  if (m.open == 0) mprotect(begin, size, PROT_NONE);
  m.device[reinterpret_cast<uintptr_t>(begin)] = bytes;
  m.used += bytes;
  return begin;
}

bool release_device(void* address) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto found = m.device.find(reinterpret_cast<uintptr_t>(address));
  if (found == m.device.end()) return false;
  char* begin = static_cast<char*>(address);
  mprotect(begin, in_pages(found->second), PROT_READ | PROT_WRITE);
  check_guard(begin, found->second);
  munmap(begin - page, in_pages(found->second) + 2 * page);
  m.used -= found->second;
  m.device.erase(found);
  return true;
}

bool is_device(const void* address, size_t bytes) {
  const std::lock_guard lock(memory().mutex);
  return holds(memory().device, address, bytes);
}

void* allocate_pinned(size_t bytes) {
  void* address = std::aligned_alloc(page, in_pages(bytes));
  if (address == nullptr) return nullptr;
  std::memset(address, undefined, bytes);
  const std::lock_guard lock(memory().mutex);
  memory().pinned[reinterpret_cast<uintptr_t>(address)] = bytes;
  return address;
}

bool release_pinned(void* address) {
  const std::lock_guard lock(memory().mutex);
  if (memory().pinned.erase(reinterpret_cast<uintptr_t>(address)) == 0) return false;
  std::free(address);
  return true;
}

bool is_pinned(const void* address, size_t bytes) {
  const std::lock_guard lock(memory().mutex);
  return holds(memory().pinned, address, bytes);
}

size_t device_bytes() { return memory().capacity; }
size_t free_bytes() {
  const std::lock_guard lock(memory().mutex);
  return memory().capacity - memory().used;
}
size_t device_blocks() {
  const std::lock_guard lock(memory().mutex);
  return memory().device.size();
}
size_t pinned_blocks() {
  const std::lock_guard lock(memory().mutex);
  return memory().pinned.size();
}
void set_device_bytes(size_t bytes) {
  const std::lock_guard lock(memory().mutex);
  memory().capacity = bytes;
}

DeviceAccess::DeviceAccess() {
  const std::lock_guard lock(memory().mutex);
  if (memory().open++ == 0) protect(PROT_READ | PROT_WRITE);
}

DeviceAccess::~DeviceAccess() {
  const std::lock_guard lock(memory().mutex);
  if (--memory().open == 0) protect(PROT_NONE);
}

}  // namespace node_cudnn::simulation
