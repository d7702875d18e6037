#include "backend/cuda/libraries/loader.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>

#include "backend/cuda/libraries.h"
#include "program/error.h"

#ifndef NODE_CUDNN_CUDNN_FOLDER
#define NODE_CUDNN_CUDNN_FOLDER ""
#endif
#ifndef NODE_CUDNN_CUBLAS_FOLDER
#define NODE_CUDNN_CUBLAS_FOLDER ""
#endif

namespace node_cudnn::cuda {

namespace {

using std::filesystem::path;

constexpr int cuda_major = CUDART_VERSION / 1000;
constexpr const char* cudnn_name = "libcudnn.so.9";
constexpr const char* cure =
    "run `scripts/setup --cuda`, or install cuDNN 9.11 or later for this CUDA and set CUDNN_ROOT and CUDA_HOME, or "
    "name "
    "the folder of both in the device option `libraries`; `npx node-cudnn doctor` shows what was found";

std::string cublas_name() { return "libcublasLt.so." + std::to_string(cuda_major); }

void add(std::vector<path>& folders, const path& folder) {
  std::error_code error;
  if (folder.empty() || !std::filesystem::is_directory(folder, error)) return;
  const path known = std::filesystem::canonical(folder, error);
  if (std::find(folders.begin(), folders.end(), known) == folders.end()) folders.push_back(known);
}

// The folders `nvidia` of the Python environments below a prefix.
std::vector<path> wheels(const path& prefix) {
  std::vector<path> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(prefix / "lib", error)) {
    if (entry.path().filename().string().starts_with("python")) add(found, entry.path() / "site-packages" / "nvidia");
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<path> python_environments(const Surroundings& s) {
  std::vector<path> found;
  for (const path& prefix :
       {s.plug_in / "../../.deps/cuda", path(s.environment("VIRTUAL_ENV")), path(s.environment("CONDA_PREFIX"))}) {
    if (prefix.empty()) continue;
    for (const path& wheel : wheels(prefix)) found.push_back(wheel);
  }
  return found;
}

void add_prefix(std::vector<path>& folders, const std::string& prefix) {
  if (prefix.empty()) return;
  for (const char* name : {"lib", "lib64", "targets/x86_64-linux/lib"}) add(folders, path(prefix) / name);
}

// Opens `name` from the first folder that has one that opens, else as the system finds it.
Opened open_first(const std::string& name, const std::vector<path>& folders, const char* symbol, bool system) {
  std::string tried;
  const auto attempt = [&](const path& file) -> std::vector<Opened> {
    try {
      const SharedLibrary library = SharedLibrary::open(file);
      return {{library, library.path_of(symbol)}};
    } catch (const std::exception& error) {
      tried += "\n  " + file.string() + ": " + error.what();
      return {};
    }
  };
  std::error_code error;
  for (const path& folder : folders) {
    if (!std::filesystem::exists(folder / name, error)) {
      tried += "\n  " + folder.string() + ": has no " + name;
    } else if (auto opened = attempt(folder / name); !opened.empty()) {
      return opened.front();
    }
  }
  if (system) {
    if (auto opened = attempt(name); !opened.empty()) return opened.front();
  }
  throw Error(ErrorCode::device, name + " was not found or could not be opened; " + cure + "; tried:" + tried);
}

}  // namespace

Surroundings Surroundings::of_process(const std::string& option) {
  Dl_info info;
  path plug_in;
  if (dladdr(reinterpret_cast<void*>(&cudnn_folders), &info) != 0) plug_in = path(info.dli_fname).parent_path();
  return {option, plug_in, NODE_CUDNN_CUDNN_FOLDER, NODE_CUDNN_CUBLAS_FOLDER, [](const char* name) {
            const char* value = std::getenv(name);
            return std::string(value == nullptr ? "" : value);
          }};
}

std::vector<path> cudnn_folders(const Surroundings& s) {
  std::vector<path> folders;
  if (!s.option.empty()) {
    add(folders, s.option);
    return folders;
  }
  add_prefix(folders, s.environment("CUDNN_ROOT"));
  add(folders, s.built_cudnn);
  for (const path& wheel : python_environments(s)) add(folders, wheel / "cudnn/lib");
  add_prefix(folders, s.environment("CUDA_HOME"));
  add_prefix(folders, s.environment("CONDA_PREFIX"));
  return folders;
}

std::vector<path> cublas_folders(const Surroundings& s) {
  std::vector<path> folders;
  if (!s.option.empty()) {
    add(folders, s.option);
    return folders;
  }
  add_prefix(folders, s.environment("CUDA_HOME"));
  add(folders, s.built_cublas);
  for (const path& wheel : python_environments(s)) {
    add(folders, wheel / ("cu" + std::to_string(cuda_major)) / "lib");
    add(folders, wheel / "cublas/lib");
  }
  add_prefix(folders, s.environment("CONDA_PREFIX"));
  add_prefix(folders, "/usr/local/cuda");
  return folders;
}

Opened open_cublas(const Surroundings& s) {
  return open_first(cublas_name(), cublas_folders(s), "cublasLtCreate", s.option.empty());
}

std::optional<Opened> open_nvrtc(const Surroundings& s) {
  std::vector<path> folders = cublas_folders(s);
  if (s.option.empty())
    for (const path& wheel : python_environments(s)) add(folders, wheel / "cuda_nvrtc/lib");
  try {
    return open_first("libnvrtc.so." + std::to_string(cuda_major), folders, "nvrtcVersion", s.option.empty());
  } catch (const Error&) {
    return {};
  }
}

Opened open_cudnn(const Surroundings& s) {
  const Opened dispatcher = open_first(cudnn_name, cudnn_folders(s), "cudnnGetVersion", s.option.empty());
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(dispatcher.file.parent_path(), error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("libcudnn_") || !name.ends_with(".so.9")) continue;
    try {
      SharedLibrary::open(entry.path());
    } catch (const std::exception& failure) {
      throw Error(ErrorCode::device, entry.path().string() + " could not be opened: " + failure.what() + "; " + cure);
    }
  }
  return dispatcher;
}

std::string cudnn_version_text(size_t version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

void expect_cudnn_version(size_t found, size_t built, const path& file) {
  const size_t least = std::max<size_t>(least_cudnn, built);
  if (found >= least && found / 10000 == built / 10000) return;
  throw Error(ErrorCode::device, file.string() + " is cuDNN " + cudnn_version_text(found) +
                                     "; this build of node-cudnn needs " + cudnn_version_text(least) +
                                     " or a later 9.x; " + cure);
}

void expect_cuda_of_cudnn(size_t found, const path& file) {
  if (found / 1000 == size_t{cuda_major}) return;
  throw Error(ErrorCode::device, file.string() + " is a cuDNN for CUDA " + std::to_string(found / 1000) +
                                     "; this build of node-cudnn is for CUDA " + std::to_string(cuda_major) + "; " +
                                     cure);
}

void expect_driver() {
  try {
    SharedLibrary::open("libcuda.so.1");
  } catch (const std::exception& error) {
    throw Error(ErrorCode::device, std::string("the NVIDIA driver is not installed (") + error.what() +
                                       "); install it: https://www.nvidia.com/drivers, or use the device 'cpu'");
  }
}

}  // namespace node_cudnn::cuda
