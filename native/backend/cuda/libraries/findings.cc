// What the doctor asks: the driver, the libraries and the devices, each looked at even where another is missing.
#include "backend/findings.h"

#include <cuda_runtime_api.h>

#include "backend/cuda/libraries/cudnn.h"
#include "backend/cuda/libraries/loader.h"
#include "backend/cuda/libraries/product.h"

namespace node_cudnn::cuda {

namespace {

// `look` answers with what it found, or throws why that does not serve.
template <class Look>
Finding finding(const char* what, const Look& look) {
  try {
    return {what, look(), true};
  } catch (const std::exception& error) {
    return {what, error.what(), false};
  }
}

std::string version(int number) { return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10); }

std::string driver() {
  expect_driver();
  int number = 0;
  check(cudaDriverGetVersion(&number), "cudaDriverGetVersion");
  if (number / 1000 < CUDART_VERSION / 1000) {
    throw std::runtime_error("the driver is for CUDA " + version(number) + ", this build for CUDA " +
                             version(CUDART_VERSION) + "; install a newer driver: https://www.nvidia.com/drivers");
  }
  return "for CUDA up to " + version(number);
}

std::string devices() {
  int count = 0;
  check(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
  std::string text;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, i), "cudaGetDeviceProperties");
    text += (i ? "\n" : "") + std::string("cuda:") + std::to_string(i) + " " + properties.name +
            ", compute capability " + std::to_string(properties.major) + "." + std::to_string(properties.minor) + ", " +
            std::to_string(properties.totalGlobalMem >> 20) + " MiB";
  }
  if (count == 0) throw std::runtime_error("the driver sees no GPU; `nvidia-smi` shows what it sees");
  return text;
}

std::string cublas(const Surroundings& surroundings) {
  const Opened opened = open_cublas(surroundings);
  const size_t number = CublasFunctions(opened.library).version();
  return std::to_string(number / 10000) + "." + std::to_string(number / 100 % 100) + ", " + opened.file.string();
}

std::string nvrtc(const Surroundings& surroundings) {
  const auto opened = open_nvrtc(surroundings);
  return opened ? opened->file.string() : "not found: cuDNN goes without engines that it compiles at run time";
}

std::string cudnn(const Surroundings& surroundings) {
  const Opened opened = open_cudnn(surroundings);
  const CudnnFunctions cudnn(opened.library);
  const size_t number = cudnn.version();
  expect_cudnn_version(number, CUDNN_VERSION, opened.file);
  expect_cuda_of_cudnn(cudnn.cuda_version(), opened.file);
  return cudnn_version_text(number) + " (built with " + cudnn_version_text(CUDNN_VERSION) + "), " +
         opened.file.string();
}

}  // namespace

}  // namespace node_cudnn::cuda

extern "C" __attribute__((visibility("default"))) std::vector<node_cudnn::Finding> node_cudnn_findings_v1(
    const node_cudnn::BackendOptions& options) {
  using namespace node_cudnn::cuda;
  const Surroundings surroundings = Surroundings::of_process(options.libraries);
  std::vector<node_cudnn::Finding> findings = {
      {"CUDA runtime", version(CUDART_VERSION) + ", part of the plug-in", true},
      finding("NVIDIA driver", driver),
      finding("cuBLASLt", [&] { return cublas(surroundings); }),
      finding("NVRTC", [&] { return nvrtc(surroundings); }),
  };
  // Without the driver cuDNN does not open; without cuBLASLt, opening it would end the process.
  if (!findings[1].serves || !findings[2].serves) {
    findings.push_back({"cuDNN", "not looked at: it needs the driver and cuBLASLt", false});
  } else {
    findings.push_back(finding("cuDNN", [&] { return cudnn(surroundings); }));
  }
  if (findings[1].serves) findings.push_back(finding("devices", devices));
  return findings;
}
