// How a kernel is written and started here. nvcc compiles the .cu files for devices; for the simulation of
// test/cuda/sim the host's compiler does, with blocks and threads played one after the other. So kernels keep to what
// both know: launch() instead of <<<>>>, the two macros for shared memory, no inline PTX, nothing that depends on
// __CUDA_ARCH__.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "backend/cuda/cuda.h"

#ifdef __CUDACC__
#define NODE_CUDNN_SHARED(type, name, count) __shared__ type name[count]
#define NODE_CUDNN_DYNAMIC_SHARED(type, name)                          \
  extern __shared__ __align__(16) unsigned char name##_bytes_shared[]; \
  type* const name = reinterpret_cast<type*>(name##_bytes_shared)
// Before a loop: so many turns at a time, so that their loads are under way together.
#define NODE_CUDNN_UNROLL(turns) _Pragma(NODE_CUDNN_TEXT(unroll turns))
#define NODE_CUDNN_TEXT(words) #words
#else
#define NODE_CUDNN_UNROLL(turns)
#endif

namespace node_cudnn::cuda {

constexpr int warp_size = 32;
constexpr unsigned all_lanes = 0xFFFFFFFF;
constexpr int block_threads = 256;

// Enqueues one kernel; arguments are converted to the kernel's own types and copied.
template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, A&&... arguments) {
#ifdef __CUDACC__
  kernel<<<grid, block, shared_bytes, stream>>>(static_cast<P>(std::forward<A>(arguments))...);
  check(cudaGetLastError(), "cudaLaunchKernel");
#else
  check(simulation::launch(kernel, grid, block, shared_bytes, stream, std::forward<A>(arguments)...),
        "cudaLaunchKernel");
#endif
}

// Blocks of a kernel that has a thread for every item.
constexpr unsigned blocks_of(int64_t items) {
  return static_cast<unsigned>((items + block_threads - 1) / block_threads);
}

// Blocks of a kernel whose threads stride over `items`: enough to fill the device several times over, no more.
inline unsigned blocks_for(const Cuda& cuda, int64_t items, int64_t per_block = block_threads) {
  const int64_t needed = (items + per_block - 1) / per_block;
  return static_cast<unsigned>(std::clamp<int64_t>(needed, 1, int64_t{cuda.multiprocessors} * 16));
}

// Storage types; arithmetic is done in float.
using half = __half;
using bfloat16 = __nv_bfloat16;

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(half x) { return __half2float(x); }
__device__ inline float to_float(bfloat16 x) { return __bfloat162float(x); }
__device__ inline float to_float(int32_t x) { return static_cast<float>(x); }
__device__ inline float to_float(uint8_t x) { return static_cast<float>(x); }

template <class T>
__device__ inline T from_float(float x) {
  if constexpr (std::is_same_v<T, half>) {
    return __float2half_rn(x);
  } else if constexpr (std::is_same_v<T, bfloat16>) {
    return __float2bfloat16_rn(x);
  } else {
    return x;
  }
}

// Calls f with a std::type_identity of the storage type: "F" of docs/ops.md.
template <class Function>
auto with_float(DType dtype, Function&& f) {
  switch (dtype) {
    case DType::bfloat16:
      return f(std::type_identity<bfloat16>{});
    case DType::float16:
      return f(std::type_identity<half>{});
    default:
      return f(std::type_identity<float>{});
  }
}

// N neighbours, moved by as few memory instructions as there are; aligned to their size, to 16 bytes at most.
template <class T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Vector {
  T at[N];
};

// A device ends the process where an address is not aligned; the host would not mind.
#ifdef __CUDACC__
__device__ inline void expect_aligned(const void*, size_t) {}
#else
using simulation::expect_aligned;
#endif

template <int N, class T>
__device__ inline Vector<T, N> load(const T* address) {
  expect_aligned(address, alignof(Vector<T, N>));
  return *reinterpret_cast<const Vector<T, N>*>(address);
}
template <class T, int N>
__device__ inline void store(T* address, const Vector<T, N>& values) {
  expect_aligned(address, alignof(Vector<T, N>));
  *reinterpret_cast<Vector<T, N>*>(address) = values;
}

// How many neighbouring channels a thread takes: 16 bytes of them where the number of channels allows.
template <class T>
constexpr int full_vector = 16 / sizeof(T);

// Calls f with a std::integral_constant: full_vector<T> where it divides `channels`, else 1.
template <class T, class Function>
auto with_vector(int64_t channels, Function&& f) {
  if (channels % full_vector<T> == 0) return f(std::integral_constant<int, full_vector<T>>{});
  return f(std::integral_constant<int, 1>{});
}

__device__ inline int64_t thread_index() { return int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }
__device__ inline int64_t thread_count() { return int64_t{gridDim.x} * blockDim.x; }

// What a kernel finds wrong in the data; the first complaint of a step stays. See Cuda::add_fault.
__device__ inline void complain(Fault* fault, int site, int64_t position, int64_t value) {
  if (atomicCAS(&fault->site, 0, site) != 0) return;
  fault->position = static_cast<int32_t>(position);
  fault->value = static_cast<int32_t>(value);
}

// Sums in a fixed order, so that a run repeats bit for bit; every lane gets the sum.
__device__ inline float warp_sum(float x) {
  for (int distance = warp_size / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(all_lanes, x, distance);
  return x;
}
__device__ inline int warp_sum(int x) {
  for (int distance = warp_size / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(all_lanes, x, distance);
  return x;
}
__device__ inline float warp_max(float x) {
  for (int distance = warp_size / 2; distance > 0; distance /= 2) x = fmaxf(x, __shfl_xor_sync(all_lanes, x, distance));
  return x;
}

// Over a block of whole warps, along x; every thread gets the sum, and may call it again.
template <class T>
__device__ inline T block_sum(T x) {
  NODE_CUDNN_SHARED(T, sums, warp_size);
  const int warps = static_cast<int>(blockDim.x) / warp_size, warp = static_cast<int>(threadIdx.x) / warp_size;
  x = warp_sum(x);
  if (threadIdx.x % warp_size == 0) sums[warp] = x;
  __syncthreads();
  T total = 0;
  for (int i = 0; i < warps; ++i) total += sums[i];
  __syncthreads();
  return total;
}

}  // namespace node_cudnn::cuda
