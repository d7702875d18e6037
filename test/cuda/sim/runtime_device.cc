// The runtime's calls about devices and errors.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstring>

#include "block.h"
#include "control.h"
#include "include/simulation.h"
#include "memory.h"
#include "stream.h"

using namespace node_cudnn::simulation;

namespace {

constexpr int multiprocessors = 3;  // few, so that small problems fill the device as well
constexpr int l2_bytes = 1 << 20;
const char* device_name = "simulated device";

cudaError_t attribute(cudaDeviceAttr attr, int* value) {
  switch (attr) {
    case cudaDevAttrMultiProcessorCount:
      *value = multiprocessors;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      return cudaSuccess;
    case cudaDevAttrL2CacheSize:
      *value = l2_bytes;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = static_cast<int>(Limits::shared_bytes);
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(Limits::shared_bytes);
      return cudaSuccess;
    default:
      return cudaErrorNotSupported;
  }
}

void describe(cudaDeviceProp* prop) {
  std::memset(prop, 0, sizeof *prop);
  std::snprintf(prop->name, sizeof prop->name, "%s", device_name);
  prop->totalGlobalMem = device_bytes();
  prop->major = 9;
  prop->multiProcessorCount = multiprocessors;
  prop->l2CacheSize = l2_bytes;
  prop->sharedMemPerBlock = Limits::shared_bytes;
  prop->sharedMemPerBlockOptin = Limits::shared_bytes;
  prop->maxThreadsPerBlock = static_cast<int>(Limits::threads);
  prop->warpSize = warpSize;
}

}  // namespace

cudaError_t cudaGetDeviceCount(int* count) {
  read_settings();
  return call(cudaErrorNoDevice, [&] {
    *count = 1;
    return cudaSuccess;
  });
}
cudaError_t cudaSetDevice(int device) {
  return call(cudaErrorInvalidDevice, [&] { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; });
}
cudaError_t cudaGetDevice(int* device) {
  return call(cudaErrorInvalidDevice, [&] {
    *device = 0;
    return cudaSuccess;
  });
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* prop, int device) {
  return call(cudaErrorInvalidDevice, [&] {
    if (device != 0) return cudaErrorInvalidDevice;
    describe(prop);
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attr, int) {
  return call(cudaErrorInvalidDevice, [&] { return attribute(attr, value); });
}
cudaError_t cudaDriverGetVersion(int* version) {
  return call(cudaErrorUnknown, [&] {
    *version = CUDART_VERSION;
    return cudaSuccess;
  });
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  return call(cudaErrorUnknown, [&] {
    *version = CUDART_VERSION;
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceSynchronize() {
  return call_outside_capture(cudaErrorIllegalAddress, [] { return run_device(drain_all); });
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) {
  return call(cudaErrorInvalidValue, [] { return cudaSuccess; });
}

cudaError_t cudaGetLastError() { return last_error(true); }
cudaError_t cudaPeekAtLastError() { return last_error(false); }
const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorIllegalAddress:
      return "cudaErrorIllegalAddress";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated:
      return "cudaErrorStreamCaptureInvalidated";
    default:
      return "cudaErrorUnknown";
  }
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" : "an error of the simulated device";
}

namespace node_cudnn::simulation {

cudaError_t enqueue_kernel(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                           std::function<void()> thread) {
  return call(cudaErrorLaunchOutOfResources, [&] {
    if (!is_stream(stream)) return cudaErrorInvalidResourceHandle;
    if (!fits(grid, block, shared_bytes)) return cudaErrorInvalidConfiguration;
    note("kernel", {stream});
    enqueue(stream, [=, thread = std::move(thread)] {
      run_kernel(grid, block, shared_bytes, seed(), thread);
      done("kernel");
    });
    return cudaSuccess;
  });
}

}  // namespace node_cudnn::simulation
