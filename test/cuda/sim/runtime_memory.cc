// The runtime's calls about memory.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string_view>
#include <vector>

#include "control.h"
#include "memory.h"
#include "stream.h"

using namespace node_cudnn::simulation;

namespace {

bool are_places(const void* target, const void* source, size_t bytes, cudaMemcpyKind kind) {
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  return is_device(target, bytes) == to_device && is_device(source, bytes) == from_device;
}

size_t content(const void* address, size_t bytes) {
  return std::hash<std::string_view>()({static_cast<const char*>(address), bytes});
}

void expect_unchanged(const void* pinned, size_t bytes, size_t then) {
  if (content(pinned, bytes) == then) return;
  std::fprintf(stderr, "simulated device: pinned memory was written to before the device had copied it\n");
  std::abort();
}

const char* name_of(cudaMemcpyKind kind) {
  return kind == cudaMemcpyHostToDevice ? "to_device" : kind == cudaMemcpyDeviceToHost ? "to_host" : "on_device";
}

// Pageable memory is read before the call returns and written before it returns; pinned memory when the stream gets
// there, so a host that does not wait sees what it would see on a device.
cudaError_t copy(void* target, const void* source, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (!is_stream(stream)) return cudaErrorInvalidResourceHandle;
  if (bytes == 0) return cudaSuccess;
  if (!are_places(target, source, bytes, kind)) return cudaErrorInvalidValue;
  note(name_of(kind), {target, source, stream}, bytes);
  const bool host_source = kind == cudaMemcpyHostToDevice, host_target = kind == cudaMemcpyDeviceToHost;
  const bool pageable = (host_source && !is_pinned(source, bytes)) || (host_target && !is_pinned(target, bytes));
  if (pageable && stream->recording) {
    stream->spoilt = true;
    return cudaErrorStreamCaptureUnsupported;
  }
  if (pageable && host_source) {
    const auto* begin = static_cast<const char*>(source);
    enqueue(stream, [target, staged = std::vector<char>(begin, begin + bytes)] {
      std::memcpy(target, staged.data(), staged.size());
    });
    return cudaSuccess;
  }
  if (host_source && !stream->recording)
    enqueue(stream, [=, then = content(source, bytes)] {
      expect_unchanged(source, bytes, then);
      std::memcpy(target, source, bytes);
    });
  else
    enqueue(stream, [=] { std::memcpy(target, source, bytes); });
  return pageable ? run_device([&] { drain(stream); }) : cudaSuccess;
}

cudaError_t allocate(const char* what, void** address, void* (*make)(size_t), size_t bytes) {
  return call_outside_capture(cudaErrorMemoryAllocation, [&] {
    *address = make(bytes);
    note(what, {*address}, bytes);
    return *address == nullptr && bytes > 0 ? cudaErrorMemoryAllocation : cudaSuccess;
  });
}

// Memory goes even where the device is lost: tests count what is left.
cudaError_t release(bool (*give_back)(void*), void* address) {
  const cudaError_t status = call(cudaErrorUnknown, [] { return run_device(drain_all); });
  if (address == nullptr) return status;
  return give_back(address) ? status : cudaErrorInvalidValue;
}

}  // namespace

cudaError_t cudaMalloc(void** address, size_t bytes) { return allocate("malloc", address, allocate_device, bytes); }
cudaError_t cudaFree(void* address) { return release(release_device, address); }
cudaError_t cudaMallocHost(void** address, size_t bytes) {
  return allocate("malloc_host", address, allocate_pinned, bytes);
}
cudaError_t cudaHostAlloc(void** address, size_t bytes, unsigned) { return cudaMallocHost(address, bytes); }
cudaError_t cudaFreeHost(void* address) { return release(release_pinned, address); }

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return call(cudaErrorUnknown, [&] {
    *free = free_bytes();
    *total = device_bytes();
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpyAsync(void* target, const void* source, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return call(cudaErrorInvalidValue, [&] { return copy(target, source, bytes, kind, stream); });
}

cudaError_t cudaMemsetAsync(void* address, int value, size_t bytes, cudaStream_t stream) {
  return call(cudaErrorInvalidValue, [&] {
    if (!is_stream(stream)) return cudaErrorInvalidResourceHandle;
    if (bytes == 0) return cudaSuccess;
    if (!is_device(address, bytes)) return cudaErrorInvalidValue;
    enqueue(stream, [=] { std::memset(address, value, bytes); });
    return cudaSuccess;
  });
}
