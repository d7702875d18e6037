#include "backend/cuda/libraries/shared_library.h"

#include <dlfcn.h>

namespace node_cudnn::cuda {

SharedLibrary SharedLibrary::open(const std::filesystem::path& path) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr) throw std::runtime_error(dlerror());
  return SharedLibrary(handle);
}

void* SharedLibrary::address(const char* name) const {
  void* found = dlsym(handle_, name);
  if (found == nullptr) throw std::runtime_error(dlerror());
  return found;
}

std::filesystem::path SharedLibrary::path_of(const char* symbol) const {
  Dl_info info;
  if (dladdr(address(symbol), &info) == 0) throw std::runtime_error(std::string("where ") + symbol + " is: unknown");
  return std::filesystem::canonical(info.dli_fname);
}

}  // namespace node_cudnn::cuda
