// What a kernel sees of the simulated device. Threads are fibers of one host thread; a warp operation or a barrier
// suspends the fiber until all who take part have arrived. The file and line of a call name the place where threads
// are stuck. block.cc does the work.
#pragma once

#include <cuda_runtime_api.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

#define __launch_bounds__(...)
// `name` is a pointer here and an array under nvcc: kernels may index it, no more.
#define NODE_CUDNN_SHARED(type, name, count) \
  static const char name##_site = 0;         \
  type* const name = static_cast<type*>(node_cudnn::simulation::shared_array(&name##_site, sizeof(type) * (count)))
#define NODE_CUDNN_DYNAMIC_SHARED(type, name) \
  type* const name = static_cast<type*>(node_cudnn::simulation::dynamic_shared())

namespace node_cudnn::simulation {

struct Site {
  const char* file;
  int line;
};

void* shared_array(const void* site, size_t bytes);
void* dynamic_shared();

enum class Vote : uint8_t { none, any, all, count };
int barrier(Vote vote, bool predicate, Site site);
// Every lane of `mask` gives 8 bytes and gets those of lane `source`; with a vote, the lanes whose value is not 0.
uint64_t exchange(unsigned mask, uint64_t value, int source, bool vote, Site site);
unsigned lane();

// A device ends the process; here it is an error of the kernel.
void fail_unaligned(const void* address, size_t alignment);
inline void expect_aligned(const void* address, size_t alignment) {
  if (reinterpret_cast<uintptr_t>(address) % alignment != 0) fail_unaligned(address, alignment);
}

cudaError_t enqueue_kernel(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                           std::function<void()> thread);

template <class... P, class... A>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                   A&&... arguments) {
  std::tuple<std::decay_t<P>...> copies(static_cast<P>(std::forward<A>(arguments))...);
  return enqueue_kernel(grid, block, shared_bytes, stream,
                        [kernel, copies = std::move(copies)] { std::apply(kernel, copies); });
}

template <class T>
T exchange_as(unsigned mask, T value, int source, Site site) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = exchange(mask, bits, source, false, site);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

}  // namespace node_cudnn::simulation

#define NODE_CUDNN_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(NODE_CUDNN_SITE) {
  node_cudnn::simulation::barrier(node_cudnn::simulation::Vote::none, false, {file, line});
}
inline int __syncthreads_or(int predicate, NODE_CUDNN_SITE) {
  return node_cudnn::simulation::barrier(node_cudnn::simulation::Vote::any, predicate != 0, {file, line});
}
inline int __syncthreads_and(int predicate, NODE_CUDNN_SITE) {
  return node_cudnn::simulation::barrier(node_cudnn::simulation::Vote::all, predicate != 0, {file, line});
}
inline int __syncthreads_count(int predicate, NODE_CUDNN_SITE) {
  return node_cudnn::simulation::barrier(node_cudnn::simulation::Vote::count, predicate != 0, {file, line});
}
inline void __syncwarp(unsigned mask = 0xFFFFFFFF, NODE_CUDNN_SITE) {
  node_cudnn::simulation::exchange(mask, 0, static_cast<int>(node_cudnn::simulation::lane()), false, {file, line});
}
inline unsigned __ballot_sync(unsigned mask, int predicate, NODE_CUDNN_SITE) {
  return static_cast<unsigned>(node_cudnn::simulation::exchange(mask, predicate != 0, 0, true, {file, line}));
}
inline int __any_sync(unsigned mask, int predicate, NODE_CUDNN_SITE) {
  return __ballot_sync(mask, predicate, file, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, NODE_CUDNN_SITE) {
  return __ballot_sync(mask, predicate, file, line) == mask;
}
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, NODE_CUDNN_SITE) {
  const int lane = static_cast<int>(node_cudnn::simulation::lane()), first = lane & ~(width - 1);
  return node_cudnn::simulation::exchange_as(mask, value, first + (source & (width - 1)), {file, line});
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int distance, int width = 32, NODE_CUDNN_SITE) {
  const int lane = static_cast<int>(node_cudnn::simulation::lane()), source = lane ^ distance;
  const bool inside = source < (lane & ~(width - 1)) + width;
  return node_cudnn::simulation::exchange_as(mask, value, inside ? source : lane, {file, line});
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32, NODE_CUDNN_SITE) {
  const int lane = static_cast<int>(node_cudnn::simulation::lane()), source = lane + static_cast<int>(distance);
  const bool inside = source < (lane & ~(width - 1)) + width;
  return node_cudnn::simulation::exchange_as(mask, value, inside ? source : lane, {file, line});
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32, NODE_CUDNN_SITE) {
  const int lane = static_cast<int>(node_cudnn::simulation::lane()), source = lane - static_cast<int>(distance);
  const bool inside = source >= (lane & ~(width - 1));
  return node_cudnn::simulation::exchange_as(mask, value, inside ? source : lane, {file, line});
}

template <class T>
T atomicCAS(T* address, T compare, T value) {
  __atomic_compare_exchange_n(address, &compare, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return compare;
}
template <class T>
T atomicAdd(T* address, T value) {
  static_assert(std::is_integral_v<T>, "sums of floats depend on the order of the threads");
  return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}
template <class T>
T atomicOr(T* address, T value) {
  return __atomic_fetch_or(address, value, __ATOMIC_RELAXED);
}
template <class T>
T atomicExch(T* address, T value) {
  return __atomic_exchange_n(address, value, __ATOMIC_RELAXED);
}
template <class T>
T atomicMax(T* address, T value) {
  T old = __atomic_load_n(address, __ATOMIC_RELAXED);
  while (old < value && !__atomic_compare_exchange_n(address, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}

template <class T>
T __ldg(const T* address) {
  return *address;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((uint64_t{a} * b) >> 32); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __log2f(float x) { return std::log2(x); }
