#include "backend/reference/reference.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "backend/reference/ops.h"

namespace node_cudnn {
namespace {

using reference::op_table;

constexpr size_t alignment = 256;

template <class Half>
void narrow(const ValueType& type, const void* host, void* device) {
  const auto* from = static_cast<const float*>(host);
  std::transform(from, from + elements(type.shape), static_cast<Half*>(device),
                 [](float value) { return Half(value); });
}

template <class Half>
void widen(const ValueType& type, const void* device, void* host) {
  const auto* from = static_cast<const Half*>(device);
  std::copy(from, from + elements(type.shape), static_cast<float*>(host));
}

class ReferenceBackend : public Backend {
 public:
  std::string description() const override { return "reference: plain loops, sums in float64, one thread"; }

  std::vector<std::string> features() const override {
    std::vector<std::string> features{"dtype:float32", "dtype:float64", "dtype:bfloat16", "dtype:float16"};
    for (const auto& entry : op_table()) features.push_back(std::string("op:") + entry.name);
    return features;
  }

  int threads() const override { return 1; }

  size_t bytes(const ValueType& type) const override {
    return static_cast<size_t>(elements(type.shape)) * size_of(type.dtype);
  }

  Prepared prepare(const Graph& graph, const Node& node) override {
    const reference::Op op(graph, node);
    for (const auto& entry : op_table())
      if (node.op == entry.name) return entry.prepare(op);
    op.fail("the reference back end has no such op; docs/ops.md lists them all");
  }

  void* allocate(size_t bytes) override {
    void* address = nullptr;
    if (posix_memalign(&address, alignment, std::max<size_t>(bytes, 1)) != 0) throw std::bad_alloc();
    return std::memset(address, 0, bytes);
  }
  void release(void* address) noexcept override { std::free(address); }

  void write(const ValueType& type, const void* host, void* device) override {
    if (type.dtype == DType::bfloat16) return narrow<bfloat16>(type, host, device);
    if (type.dtype == DType::float16) return narrow<float16>(type, host, device);
    std::memcpy(device, host, bytes(type));
  }

  void read(const ValueType& type, const void* device, void* host) override {
    if (type.dtype == DType::bfloat16) return widen<bfloat16>(type, device, host);
    if (type.dtype == DType::float16) return widen<float16>(type, device, host);
    std::memcpy(host, device, bytes(type));
  }

  void synchronise() override {}
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend(const BackendOptions&) { return std::make_unique<ReferenceBackend>(); }

}  // namespace node_cudnn
