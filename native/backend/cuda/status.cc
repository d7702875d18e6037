#include <new>

#include "backend/cuda/cuda.h"
#include "program/error.h"

namespace node_cudnn::cuda {

namespace {

// Of later toolkits than some that this is built with.
constexpr int error_contained = 226, error_tensor_memory_leak = 721;

// After these the context is corrupt: every later call fails with the same status until the process ends.
bool is_sticky(cudaError_t status) {
  if (status == error_contained || status == error_tensor_memory_leak) return true;
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorIllegalInstruction:
    case cudaErrorHardwareStackError:
    case cudaErrorAssert:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorECCUncorrectable:
    case cudaErrorMpsClientTerminated:
    case cudaErrorExternalDevice:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

}  // namespace

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // forgets an error that is not sticky
  if (status == cudaErrorMemoryAllocation) throw std::bad_alloc();
  const std::string text =
      std::string(call) + ": " + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ")";
  if (!is_sticky(status)) throw Error(ErrorCode::device, text);
  throw Error(ErrorCode::device_lost, text +
                                          "; the device is lost to this process: restart it, and resume the run from "
                                          "its last checkpoint");
}

void expect_alive(cudaStream_t stream) {
  const cudaError_t status = cudaStreamQuery(stream);
  cudaGetLastError();
  if (is_sticky(status)) check(status, "cudaStreamQuery");
}

}  // namespace node_cudnn::cuda
