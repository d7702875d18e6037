// The CUDA back end: cuDNN and cuBLASLt where they are best, own kernels elsewhere.
#include "backend/backend.h"

#include <algorithm>
#include <stdexcept>

#include "backend/common/expect.h"
#include "backend/cuda/engines.h"
#include "backend/cuda/fault.h"
#include "backend/cuda/layout.h"
#include "backend/cuda/libraries.h"
#include "backend/cuda/marks.h"
#include "backend/cuda/ops.h"
#include "backend/cuda/slices.h"
#include "backend/cuda/step.h"
#include "backend/cuda/stopwatch.h"
#include "backend/cuda/transfer.h"
#include "program/error.h"

namespace node_cudnn {

const FloatTypes& float_types() {
  static const FloatTypes types{"cuda", {DType::float32, DType::bfloat16, DType::float16}};
  return types;
}

}  // namespace node_cudnn

namespace node_cudnn::cuda {

int Cuda::add_fault(std::function<std::string(const Fault&)> message) { return fault_sites->add(std::move(message)); }

namespace {

constexpr int least_capability = 80;

int attribute(cudaDeviceAttr what, int ordinal) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, what, ordinal), "cudaDeviceGetAttribute");
  return value;
}

std::string version(int number) { return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10); }

std::string driver_version() {
  int driver = 0;
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  return version(driver);
}

void expect_device(int ordinal) {
  int count = 0;
  expect_driver();
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver) {
    throw Error(ErrorCode::device, "the driver is for CUDA " + driver_version() + ", this build for CUDA " +
                                       version(CUDART_VERSION) +
                                       "; install a newer driver: https://www.nvidia.com/drivers");
  }
  if (status != cudaErrorNoDevice) check(status, "cudaGetDeviceCount");
  if (ordinal < count) return;
  if (count == 0) {
    throw Error(ErrorCode::device,
                "the driver sees no GPU; `nvidia-smi` shows what it sees, CUDA_VISIBLE_DEVICES may hide one; "
                "or use the device 'cpu'");
  }
  throw Error(ErrorCode::device, "the driver sees " + std::to_string(count) + (count == 1 ? " GPU" : " GPUs") +
                                     "; use 'cuda:0'" +
                                     (count == 1 ? "" : " to 'cuda:" + std::to_string(count - 1) + "'"));
}

Cuda describe_device(const BackendOptions& options) {
  Cuda cuda;
  cuda.ordinal = options.ordinal;
  cuda.deterministic = options.deterministic;
  cuda.tf32 = options.tf32;
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, cuda.ordinal), "cudaGetDeviceProperties");
  cuda.name = properties.name;
  cuda.compute_capability = 10 * attribute(cudaDevAttrComputeCapabilityMajor, cuda.ordinal) +
                            attribute(cudaDevAttrComputeCapabilityMinor, cuda.ordinal);
  cuda.multiprocessors = attribute(cudaDevAttrMultiProcessorCount, cuda.ordinal);
  cuda.l2_bytes = static_cast<size_t>(attribute(cudaDevAttrL2CacheSize, cuda.ordinal));
  if (cuda.compute_capability >= least_capability) return cuda;
  throw Error(ErrorCode::device, cuda.name + " has compute capability " + std::to_string(cuda.compute_capability / 10) +
                                     "." + std::to_string(cuda.compute_capability % 10) +
                                     "; node-cudnn needs 8.0 (Ampere) or later; or use the device 'cpu'");
}

struct Stream {
  cudaStream_t stream = nullptr;

  Stream() { check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"); }
  ~Stream() { cudaStreamDestroy(stream); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
};

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(const BackendOptions& options)
      : cuda_(describe_device(options)), marks_(compute_.stream, fault_sites_), transfer_(compute_.stream) {
    cuda_.stream = compute_.stream;
    cuda_.fault = marks_.fault();
    cuda_.fault_sites = &fault_sites_;
    libraries_ = open_libraries(cuda_, options);
    cuda_.libraries = libraries_.get();
    engines_ = std::make_unique<Engines>(cuda_, options);
    cuda_.engines = engines_.get();
  }

  std::string description() const override {
    int runtime = 0;
    check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
    return cuda_.name + " (sm_" + std::to_string(cuda_.compute_capability) + "), CUDA " + version(runtime) +
           ", driver for CUDA " + driver_version() + ", " + libraries_->versions() + (cuda_.tf32 ? ", tf32" : "") +
           (cuda_.deterministic ? ", deterministic" : "");
  }

  std::vector<std::string> features() const override {
    std::vector<std::string> features;
    for (const DType dtype : float_types().dtypes) features.push_back(std::string("dtype:") + name_of(dtype));
    for (const std::string& op : op_names()) features.push_back("op:" + op);
    if (engines_->measures()) features.push_back("measures");
    return features;
  }

  int threads() const override { return 1; }

  size_t bytes(const ValueType& type) const override {
    if (type.dtype == DType::float64) {
      throw std::invalid_argument("the device cuda has no float64; the device reference has");
    }
    return static_cast<size_t>(elements(type.shape)) * size_of(type.dtype);
  }

  Prepared prepare(const Graph& graph, const Node& node) override {
    const Prepare prepare_op = find_op(node.op);
    if (prepare_op == nullptr) throw std::invalid_argument(node.op + ": the device cuda lacks this op");
    try {
      return prepare_op(cuda_, graph, node);
    } catch (const std::logic_error& error) {
      throw std::invalid_argument(message_of(graph, node, error));
    } catch (const Error& error) {
      throw Error(error.code(), message_of(graph, node, error));
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(message_of(graph, node, error));
    }
  }

  std::optional<size_t> offset_in(const ValueType& whole, const ValueType& part, int64_t first) const override {
    return cuda::offset_in(whole, part, first);
  }

  bool takes_slice(const Graph&, const Node& node, int value) const override { return cuda::takes_slice(node, value); }

  size_t available() const override {
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    return free;
  }

  void* allocate(size_t bytes) override {
    void* address = nullptr;
    check(cudaMalloc(&address, bytes), "cudaMalloc");
    const cudaError_t status = cudaMemsetAsync(address, 0, bytes, cuda_.stream);
    if (status != cudaSuccess) cudaFree(address);
    check(status, "cudaMemsetAsync");
    return address;
  }

  void release(void* address) noexcept override {
    cudaStreamSynchronize(cuda_.stream);
    cudaFree(address);
  }

  void write(const ValueType& type, const void* host, void* device) override {
    marks_.keep_failure([&] {
      if (is_stored_as_given(type)) return transfer_.write(host, bytes(type), device);
      transfer_.write(to_device_layout(type, host).data(), bytes(type), device);
    });
  }

  void read(const ValueType& type, const void* device, void* host) override {
    if (is_stored_as_given(type)) return transfer_.read(device, bytes(type), host);
    std::vector<std::byte> stored(bytes(type));
    transfer_.read(device, stored.size(), stored.data());
    to_host_layout(type, stored.data(), host);
  }

  void synchronise() override { mark()(); }

  Wait mark() override { return marks_.add(); }

  std::function<void()> capture(std::function<void()> launches) override {
    auto step = std::make_shared<Step>(cuda_.stream, std::move(launches));
    return [this, step] { marks_.launch([&] { step->run(); }); };
  }

  std::vector<double> time(const std::vector<std::function<void()>>& launches) override {
    std::vector<double> seconds;
    marks_.launch([&] { seconds = time_on_device(cuda_.stream, launches); });
    synchronise();
    return seconds;
  }

  double measure(const std::function<void()>& launches) override {
    double milliseconds = 0;
    marks_.launch([&] { milliseconds = Stopwatch(cuda_, {}, {}).milliseconds(launches); });
    synchronise();
    return milliseconds / 1000.0;
  }

  std::string known_choice(const std::string& problem) const override { return engines_->known(problem); }
  void keep_choice(const std::string& problem, const std::string& choice) override { engines_->keep(problem, choice); }

 private:
  Cuda cuda_;
  FaultSites fault_sites_;
  Stream compute_;
  Marks marks_;
  Transfer transfer_;
  std::unique_ptr<Libraries> libraries_;
  std::unique_ptr<Engines> engines_;
};

Backend* open(const BackendOptions& options) {
  expect_device(options.ordinal);
  check(cudaSetDevice(options.ordinal), "cudaSetDevice");
  return new CudaBackend(options);
}

}  // namespace

}  // namespace node_cudnn::cuda

extern "C" __attribute__((visibility("default"))) node_cudnn::Backend* node_cudnn_backend_v5(
    const node_cudnn::BackendOptions& options) {
  return node_cudnn::cuda::open(options);
}
