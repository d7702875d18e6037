// Where cuDNN and cuBLASLt are looked for, and how they are opened: cuBLASLt first, without which cuDNN ends the
// process, then every sub-library of cuDNN from one folder, because it would mix versions otherwise.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backend/cuda/libraries/shared_library.h"

namespace node_cudnn::cuda {

// What decides the order of the search.
struct Surroundings {
  std::filesystem::path option;   // BackendOptions::libraries; where it is given, nothing else is searched
  std::filesystem::path plug_in;  // the folder of this library
  std::filesystem::path built_cudnn, built_cublas;      // what it was built against
  std::function<std::string(const char*)> environment;  // empty for what is not set
  static Surroundings of_process(const std::string& option);
};

// Folders that exist, in the order in which they are tried; the system's own search comes after them.
std::vector<std::filesystem::path> cudnn_folders(const Surroundings& surroundings);
std::vector<std::filesystem::path> cublas_folders(const Surroundings& surroundings);

struct Opened {
  SharedLibrary library;
  std::filesystem::path file;
};

// Throw Error (device) with every path tried, what the loader said of it, and the cure.
Opened open_cublas(const Surroundings& surroundings);
Opened open_cudnn(const Surroundings& surroundings);
// Before cuDNN, which looks for it beside itself alone, and goes without engines that it compiles where there is none.
std::optional<Opened> open_nvrtc(const Surroundings& surroundings);

constexpr int least_cudnn = 91100;
// "9.11.0" for 91100. Throws where the version does not serve a back end built with `built`.
std::string cudnn_version_text(size_t version);
void expect_cudnn_version(size_t found, size_t built, const std::filesystem::path& file);
// `found`: cudnnGetCudartVersion(), 13000 for CUDA 13.0. One built for another major version asks for that version's
// cuBLASLt, and ends the process where it has none.
void expect_cuda_of_cudnn(size_t found, const std::filesystem::path& file);

}  // namespace node_cudnn::cuda
