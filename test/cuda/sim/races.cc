#include "races.h"

#include <sys/mman.h>

// From the sanitizer's library; null where it was not loaded.
extern "C" {
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void __tsan_destroy_fiber(void* fiber);
[[gnu::weak]] void* __tsan_get_current_fiber();
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
[[gnu::weak]] void __tsan_acquire(void* place);
[[gnu::weak]] void __tsan_release(void* place);
}

namespace node_cudnn::simulation::races {
namespace {

constexpr unsigned without_order = 1;  // a switch says nothing about what comes before what

}  // namespace

bool watched() { return __tsan_create_fiber != nullptr; }

void release(const void* place) {
  if (watched()) __tsan_release(const_cast<void*>(place));
}

void acquire(const void* place) {
  if (watched()) __tsan_acquire(const_cast<void*>(place));
}

void forget(void* pages, size_t bytes) {
  if (watched()) mmap(pages, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

Thread::Thread() {
  if (watched()) own_ = __tsan_create_fiber(0);
}

Thread::~Thread() {
  if (watched()) __tsan_destroy_fiber(own_);
}

void Thread::enter() {
  if (!watched()) return;
  host_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(own_, without_order);
}

void Thread::leave() {
  if (watched()) __tsan_switch_to_fiber(host_, without_order);
}

}  // namespace node_cudnn::simulation::races
