// The CPU back end: oneDNN where it is best, own kernels elsewhere.
#include "backend/backend.h"

#include <omp.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

#include "backend/common/expect.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/ops.h"
#include "backend/cpu/processor.h"
#include "backend/cpu/slices.h"

namespace node_cudnn {

const FloatTypes& float_types() {
  static const FloatTypes types{"cpu", {DType::float32, DType::bfloat16}};
  return types;
}

}  // namespace node_cudnn

namespace node_cudnn::cpu {

namespace {

const char* isa_name(const Cpu& cpu) {
  if (cpu.bfloat16) return "AVX-512 with bfloat16";
  return cpu.isa == Isa::avx512 ? "AVX-512" : cpu.isa == Isa::avx2 ? "AVX2" : "no AVX2";
}

// Host data is dense, and float32 stands for bfloat16.
Desc host_desc(const ValueType& type) {
  return dense(type.shape, data_type(type.dtype == DType::bfloat16 ? DType::float32 : type.dtype));
}

Desc device_desc(const Cpu& cpu, const ValueType& type) {
  return type.format == Format::plain ? dense(type.shape, data_type(type.dtype)) : describe(cpu, type);
}

void copy(const Desc& from, const void* source, const Desc& to, void* target) {
  if (from.get_size() == 0) return;
  if (from == to) {
    std::memcpy(target, source, from.get_size());
    return;
  }
  dnnl::memory a(from, engine(), const_cast<void*>(source)), b(to, engine(), target);
  dnnl::reorder(a, b).execute(stream(), a, b);
}

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const BackendOptions& options) : cpu_(detect_cpu(options.threads)) {
    omp_set_num_threads(cpu_.threads);
  }

  std::string description() const override {
    const dnnl_version_t& version = *dnnl_version();
    return processor_name() + " (" + isa_name(cpu_) + "), oneDNN " + std::to_string(version.major) + "." +
           std::to_string(version.minor) + "." + std::to_string(version.patch) + ", " + std::to_string(cpu_.threads) +
           (cpu_.threads == 1 ? " thread" : " threads");
  }

  std::vector<std::string> features() const override {
    std::vector<std::string> features = {"dtype:float32"};
    if (cpu_.isa == Isa::avx512) features.push_back("dtype:bfloat16");
    if (cpu_.isa == Isa::avx512 && !cpu_.bfloat16) features.push_back("emulated:bfloat16");
    for (const std::string& op : op_names()) features.push_back("op:" + op);
    return features;
  }

  int threads() const override { return cpu_.threads; }

  size_t bytes(const ValueType& type) const override {
    data_type(type.dtype);
    return static_cast<size_t>(elements(type.shape)) * size_of(type.dtype);
  }

  Prepared prepare(const Graph& graph, const Node& node) override {
    const Prepare prepare_op = find_op(node.op);
    if (prepare_op == nullptr) throw std::invalid_argument(node.op + ": the device cpu lacks this op");
    try {
      return prepare_op(cpu_, graph, node);
    } catch (const std::logic_error& error) {
      throw std::invalid_argument(message_of(graph, node, error));
    } catch (const dnnl::error& error) {
      throw std::runtime_error(message_of(graph, node, error));
    }
  }

  std::optional<size_t> offset_in(const ValueType& whole, const ValueType& part, int64_t first) const override {
    return cpu::offset_in(cpu_, whole, part, first);
  }

  bool takes_slice(const Graph& graph, const Node& node, int value) const override {
    return cpu::takes_slice(cpu_, graph, node, value);
  }

  size_t available() const override { return available_memory(); }

  void* allocate(size_t bytes) override {
    constexpr size_t alignment = 256, huge_page = size_t{2} << 20;
    const size_t unit = bytes < huge_page ? alignment : huge_page;
    const size_t size = (bytes + unit - 1) / unit * unit;
    void* address = size < bytes || size > available() ? nullptr : std::aligned_alloc(unit, size);
    if (address == nullptr) throw std::bad_alloc();
    if (unit == huge_page) madvise(address, size, MADV_HUGEPAGE);
    return std::memset(address, 0, size);
  }

  void release(void* address) noexcept override { std::free(address); }

  void write(const ValueType& type, const void* host, void* device) override {
    copy(host_desc(type), host, device_desc(cpu_, type), device);
  }

  void read(const ValueType& type, const void* device, void* host) override {
    copy(device_desc(cpu_, type), device, host_desc(type), host);
  }

  void synchronise() override {}

 private:
  Cpu cpu_;
};

}  // namespace

}  // namespace node_cudnn::cpu

extern "C" __attribute__((visibility("default"))) node_cudnn::Backend* node_cudnn_backend_v5(
    const node_cudnn::BackendOptions& options) {
  return new node_cudnn::cpu::CpuBackend(options);
}
