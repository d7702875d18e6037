// A thin layer over cuDNN's C back-end API: descriptors that destroy themselves, attributes that know their types,
// statuses that become exceptions with the library's own last words.
#pragma once

#include <cudnn.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/cuda/libraries.h"
#include "backend/cuda/libraries/shared_library.h"

namespace node_cudnn::cuda {

struct CudnnFunctions {
  explicit CudnnFunctions(const SharedLibrary& library);
  decltype(&cudnnGetVersion) version;
  decltype(&cudnnGetCudartVersion) cuda_version;  // for which it was built
  decltype(&cudnnCreate) create;
  decltype(&cudnnDestroy) destroy;
  decltype(&cudnnSetStream) set_stream;
  decltype(&cudnnGetErrorString) error_string;
  decltype(&cudnnGetLastErrorString) last_error;
  decltype(&cudnnBackendCreateDescriptor) create_descriptor;
  decltype(&cudnnBackendDestroyDescriptor) destroy_descriptor;
  decltype(&cudnnBackendSetAttribute) set_attribute;
  decltype(&cudnnBackendGetAttribute) get_attribute;
  decltype(&cudnnBackendFinalize) finalize;
  decltype(&cudnnBackendExecute) execute;
};

// Throws LibraryError, and std::bad_alloc where memory ran out.
void check(const CudnnFunctions& cudnn, cudnnStatus_t status, const char* call);

// Copies share the descriptor; the last one destroys it.
class Descriptor {
 public:
  Descriptor(const CudnnFunctions& cudnn, cudnnBackendDescriptorType_t type);

  Descriptor& set(cudnnBackendAttributeName_t name, int64_t value) { return put(name, CUDNN_TYPE_INT64, 1, &value); }
  Descriptor& set(cudnnBackendAttributeName_t name, bool value) { return put(name, CUDNN_TYPE_BOOLEAN, 1, &value); }
  Descriptor& set(cudnnBackendAttributeName_t name, double value) { return put(name, CUDNN_TYPE_DOUBLE, 1, &value); }
  Descriptor& set(cudnnBackendAttributeName_t name, std::span<const int64_t> values) {
    return put(name, CUDNN_TYPE_INT64, values.size(), values.data());
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const std::string& text) {  // with its NUL
    return put(name, CUDNN_TYPE_CHAR, text.size() + 1, text.c_str());
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& value);
  Descriptor& set(cudnnBackendAttributeName_t name, std::span<const Descriptor> values);
  Descriptor& set(cudnnBackendAttributeName_t name, std::span<void* const> addresses) {
    return put(name, CUDNN_TYPE_VOID_PTR, addresses.size(), addresses.data());
  }
  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, T value) {
    return put(name, type, 1, &value);
  }
  Descriptor& finalize();

  int64_t integer(cudnnBackendAttributeName_t name) const;
  std::string text(cudnnBackendAttributeName_t name) const;
  Descriptor descriptor(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type) const;
  // `most`: where the attribute does not tell how many there are.
  std::vector<Descriptor> descriptors(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type,
                                      int64_t most = 0) const;
  template <class Note>
  std::vector<Note> notes(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) const {
    std::vector<Note> found(16);
    found.resize(static_cast<size_t>(get(name, type, 16, found.data())));
    return found;
  }
  template <class T>
  T value(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) const {
    T found{};
    get(name, type, 1, &found);
    return found;
  }

  cudnnBackendDescriptor_t get() const { return handle_.get(); }

 private:
  Descriptor& put(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, size_t count, const void* values);
  int64_t get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count, void* values) const;

  const CudnnFunctions* cudnn_;
  std::shared_ptr<void> handle_;
};

}  // namespace node_cudnn::cuda
