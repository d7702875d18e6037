// Libraries opened at run time. They stay open until the process ends: threads of theirs may outlive every handle.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace node_cudnn::cuda {

class SharedLibrary {
 public:
  // A file name alone is searched as the system does. Symbols become visible to libraries opened later.
  static SharedLibrary open(const std::filesystem::path& path);  // throws std::runtime_error with the loader's words

  template <class Function>
  Function symbol(const char* name) const {
    return reinterpret_cast<Function>(address(name));
  }
  std::filesystem::path path_of(const char* symbol) const;  // of the file that defines it

 private:
  explicit SharedLibrary(void* handle) : handle_(handle) {}
  void* address(const char* name) const;
  void* handle_;
};

}  // namespace node_cudnn::cuda
