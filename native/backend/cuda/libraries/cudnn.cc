#include "backend/cuda/libraries/cudnn.h"

#include <algorithm>
#include <new>

namespace node_cudnn::cuda {

CudnnFunctions::CudnnFunctions(const SharedLibrary& library)
    : version(library.symbol<decltype(version)>("cudnnGetVersion")),
      cuda_version(library.symbol<decltype(cuda_version)>("cudnnGetCudartVersion")),
      create(library.symbol<decltype(create)>("cudnnCreate")),
      destroy(library.symbol<decltype(destroy)>("cudnnDestroy")),
      set_stream(library.symbol<decltype(set_stream)>("cudnnSetStream")),
      error_string(library.symbol<decltype(error_string)>("cudnnGetErrorString")),
      last_error(library.symbol<decltype(last_error)>("cudnnGetLastErrorString")),
      create_descriptor(library.symbol<decltype(create_descriptor)>("cudnnBackendCreateDescriptor")),
      destroy_descriptor(library.symbol<decltype(destroy_descriptor)>("cudnnBackendDestroyDescriptor")),
      set_attribute(library.symbol<decltype(set_attribute)>("cudnnBackendSetAttribute")),
      get_attribute(library.symbol<decltype(get_attribute)>("cudnnBackendGetAttribute")),
      finalize(library.symbol<decltype(finalize)>("cudnnBackendFinalize")),
      execute(library.symbol<decltype(execute)>("cudnnBackendExecute")) {}

void check(const CudnnFunctions& cudnn, cudnnStatus_t status, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  if (status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED) throw std::bad_alloc();
  char words[1024] = "";
  cudnn.last_error(words, sizeof words);
  throw LibraryError(std::string(call) + ": " + cudnn.error_string(status) +
                     (words[0] ? std::string(": ") + words : ""));
}

Descriptor::Descriptor(const CudnnFunctions& cudnn, cudnnBackendDescriptorType_t type) : cudnn_(&cudnn) {
  cudnnBackendDescriptor_t made = nullptr;
  check(cudnn, cudnn.create_descriptor(type, &made), "cudnnBackendCreateDescriptor");
  handle_ = std::shared_ptr<void>(made, [destroy = cudnn.destroy_descriptor](void* handle) { destroy(handle); });
}

Descriptor& Descriptor::put(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, size_t count,
                            const void* values) {
  check(*cudnn_, cudnn_->set_attribute(get(), name, type, static_cast<int64_t>(count), values),
        "cudnnBackendSetAttribute");
  return *this;
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, const Descriptor& value) {
  const cudnnBackendDescriptor_t handle = value.get();
  return put(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &handle);
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, std::span<const Descriptor> values) {
  std::vector<cudnnBackendDescriptor_t> handles;
  for (const Descriptor& value : values) handles.push_back(value.get());
  return put(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, handles.size(), handles.data());
}

Descriptor& Descriptor::finalize() {
  check(*cudnn_, cudnn_->finalize(get()), "cudnnBackendFinalize");
  return *this;
}

int64_t Descriptor::get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                        void* values) const {
  int64_t found = 0;
  check(*cudnn_, cudnn_->get_attribute(get(), name, type, count, &found, values), "cudnnBackendGetAttribute");
  return found;
}

int64_t Descriptor::integer(cudnnBackendAttributeName_t name) const { return value<int64_t>(name, CUDNN_TYPE_INT64); }

std::string Descriptor::text(cudnnBackendAttributeName_t name) const {
  std::string found(static_cast<size_t>(get(name, CUDNN_TYPE_CHAR, 0, nullptr)), '\0');
  get(name, CUDNN_TYPE_CHAR, std::ssize(found), found.data());
  return found.c_str();  // without its NUL
}

Descriptor Descriptor::descriptor(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type) const {
  Descriptor made(*cudnn_, type);
  cudnnBackendDescriptor_t handle = made.get();
  get(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &handle);
  return made;
}

std::vector<Descriptor> Descriptor::descriptors(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type,
                                                int64_t most) const {
  if (most == 0) most = get(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, nullptr);
  std::vector<Descriptor> made;
  std::vector<cudnnBackendDescriptor_t> handles;
  for (int64_t i = 0; i < most; ++i) handles.push_back(made.emplace_back(*cudnn_, type).get());
  const int64_t found = get(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, handles.data());
  made.erase(made.begin() + std::min(found, most), made.end());
  return made;
}

}  // namespace node_cudnn::cuda
