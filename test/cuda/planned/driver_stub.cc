// Stands in for the NVIDIA driver while plans are built without a device: cuDNN's runtime-compiled engines want to load
// code somewhere. Every call that would reach a device fails; loading pretends to succeed. For this test only: the test
// opens it by path, and refuses to where a real driver exists.
extern "C" {

constexpr int success = 0, no_device = 34;  // 34: CUDA_ERROR_STUB_LIBRARY

#define LOADS(name)          \
  int name(void** handle) {  \
    *handle = (void*)0x1000; \
    return success;          \
  }
#define SUCCEEDS(name) \
  int name() { return success; }
#define FAILS(name) \
  int name() { return no_device; }

LOADS(cuModuleLoadData)
LOADS(cuModuleGetFunction)
LOADS(cuLibraryLoadData)
LOADS(cuLibraryGetKernel)
LOADS(cuKernelGetFunction)
SUCCEEDS(cuModuleUnload)
SUCCEEDS(cuLibraryUnload)
SUCCEEDS(cuKernelSetAttribute)
FAILS(cuInit)
FAILS(cuGetErrorString)
FAILS(cuGetErrorName)
FAILS(cuTensorMapEncodeIm2col)
FAILS(cuTensorMapEncodeTiled)
FAILS(cuCtxGetCurrent)
FAILS(cuCtxGetLimit)
FAILS(cuCtxPopCurrent)
FAILS(cuCtxPushCurrent)
FAILS(cuStreamGetCtx)
FAILS(cuDriverGetVersion)
FAILS(cuLinkCreate)
FAILS(cuLinkAddData)
FAILS(cuLinkComplete)
FAILS(cuLinkDestroy)
FAILS(cuLaunchKernel)
FAILS(cuLaunchCooperativeKernel)
FAILS(cuLaunchKernelEx)
FAILS(cuDeviceGetCount)
FAILS(cuDeviceGet)
FAILS(cuLibraryLoadFromFile)
FAILS(cuKernelGetAttribute)
FAILS(cuOccupancyMaxPotentialClusterSize)
}
