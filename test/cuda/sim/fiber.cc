#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <new>

#include "races.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifndef __x86_64__
#include <ucontext.h>
#endif

namespace node_cudnn::simulation {
namespace {

constexpr size_t stack_bytes = size_t{256} << 10;

}  // namespace

#ifdef __x86_64__

// Pushes what the ABI wants preserved, changes stacks, pops it: 20 times faster than swapcontext, which asks the kernel
// for the signal mask.
extern "C" void node_cudnn_switch_stack(void** save, void* enter);
asm(R"(
.text
.type node_cudnn_switch_stack, @function
.hidden node_cudnn_switch_stack
.globl node_cudnn_switch_stack
node_cudnn_switch_stack:
  .cfi_startproc
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .cfi_endproc
.size node_cudnn_switch_stack, .-node_cudnn_switch_stack
)");

struct Fiber::Context {
  Body body;
  char* stack;
  races::Thread thread;
  void* own;
  void* host = nullptr;
  const void* host_bottom = nullptr;
  size_t host_size = 0;
};

#else

struct Fiber::Context {
  Body body;
  char* stack;
  races::Thread thread;
  ucontext_t own, host;
  const void* host_bottom = nullptr;
  size_t host_size = 0;
};

#endif

namespace {

// A body never starts directly: a sanitizer wants to be told on arrival that the stack has changed.
thread_local Fiber::Body starting = nullptr;

#ifdef __SANITIZE_ADDRESS__
thread_local const void** arriving_bottom = nullptr;
thread_local size_t* arriving_size = nullptr;
void arrive_first() { __sanitizer_finish_switch_fiber(nullptr, arriving_bottom, arriving_size); }
#else
void arrive_first() {}
#endif

void start() {
  arrive_first();
  starting();
  __builtin_trap();
}

}  // namespace

Fiber::Fiber(Body body) : context_(new Context) {
  void* stack = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stack == MAP_FAILED) {
    delete context_;
    throw std::bad_alloc();
  }
  context_->body = body;
  context_->stack = static_cast<char*>(stack);
#ifdef __x86_64__
  // On entry to a function the stack pointer is 8 modulo 16: six registers and the address to return to.
  void** top = reinterpret_cast<void**>(context_->stack + stack_bytes) - 1;
  *--top = reinterpret_cast<void*>(&start);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  context_->own = top;
#else
  getcontext(&context_->own);
  context_->own.uc_stack.ss_sp = stack;
  context_->own.uc_stack.ss_size = stack_bytes;
  context_->own.uc_link = nullptr;
  makecontext(&context_->own, &start, 0);
#endif
}

Fiber::~Fiber() {
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(context_->stack, stack_bytes);  // of frames that never returned
#endif
  munmap(context_->stack, stack_bytes);
  delete context_;
}

void Fiber::enter() {
  starting = context_->body;
#ifdef __SANITIZE_ADDRESS__
  void* fake = nullptr;
  arriving_bottom = &context_->host_bottom;
  arriving_size = &context_->host_size;
  __sanitizer_start_switch_fiber(&fake, context_->stack, stack_bytes);
#endif
  context_->thread.enter();
#ifdef __x86_64__
  node_cudnn_switch_stack(&context_->host, context_->own);
#else
  swapcontext(&context_->host, &context_->own);
#endif
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

void Fiber::leave() {
#ifdef __SANITIZE_ADDRESS__
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, context_->host_bottom, context_->host_size);
#endif
  context_->thread.leave();
#ifdef __x86_64__
  node_cudnn_switch_stack(&context_->own, context_->host);
#else
  swapcontext(&context_->own, &context_->host);
#endif
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake, &context_->host_bottom, &context_->host_size);
#endif
}

}  // namespace node_cudnn::simulation
