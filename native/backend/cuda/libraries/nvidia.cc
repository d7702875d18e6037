// cuDNN and cuBLASLt, opened for one device.
#include "backend/cuda/libraries/convolution.h"
#include "backend/cuda/libraries/loader.h"
#include "backend/cuda/libraries/normalization.h"
#include "backend/cuda/libraries/pooling.h"
#include "backend/cuda/libraries/product.h"

namespace node_cudnn::cuda {

namespace {

std::string cublas_version_text(size_t version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

class NvidiaLibraries final : public Libraries {
 public:
  NvidiaLibraries(const Cuda& cuda, const Opened& cublas, const Opened& cudnn)
      : cublas_(cublas.library), cudnn_(cudnn.library) {
    expect_cudnn_version(cudnn_.version(), CUDNN_VERSION, cudnn.file);
    expect_cuda_of_cudnn(cudnn_.cuda_version(), cudnn.file);
    try {
      check(cudnn_, cudnn_.create(&cudnn_handle_), "cudnnCreate");
      check(cudnn_, cudnn_.set_stream(cudnn_handle_, cuda.stream), "cudnnSetStream");
      check(cublas_, cublas_.create(&cublas_handle_), "cublasLtCreate");
    } catch (...) {
      release();
      throw;
    }
    graphs_ = std::make_unique<GraphPlanner>(cudnn_, cudnn_handle_, cuda.deterministic);
    products_ = std::make_unique<ProductPlanner>(cublas_, cublas_handle_);
  }
  ~NvidiaLibraries() override { release(); }

  std::string versions() const override {
    return "cuDNN " + cudnn_version_text(cudnn_.version()) + ", cuBLASLt " + cublas_version_text(cublas_.version());
  }
  std::string refusal() const override { return graphs_->refusal(); }
  std::vector<Candidate> candidates(const Convolution& c) override { return cuda::candidates(*graphs_, c); }
  std::vector<Candidate> candidates(const Normalization& n) override { return cuda::candidates(*graphs_, n); }
  std::vector<Candidate> candidates(const Pooling& p) override { return cuda::candidates(*graphs_, p); }
  std::vector<Candidate> candidates(const Product& p) override { return products_->candidates(p); }
  std::unique_ptr<Plan> build(const Convolution& convolution, const Candidate& candidate) override {
    return cuda::build(*graphs_, convolution, candidate);
  }
  std::unique_ptr<Plan> build(const Normalization& normalization, const Candidate& candidate) override {
    return cuda::build(*graphs_, normalization, candidate);
  }
  std::unique_ptr<Plan> build(const Pooling& pooling, const Candidate& candidate) override {
    return cuda::build(*graphs_, pooling, candidate);
  }
  std::unique_ptr<Plan> build(const Product&, const Candidate& candidate) override {
    return products_->build(candidate);
  }

 private:
  void release() noexcept {
    if (cublas_handle_ != nullptr) cublas_.destroy(cublas_handle_);
    if (cudnn_handle_ != nullptr) cudnn_.destroy(cudnn_handle_);
  }

  const CublasFunctions cublas_;
  const CudnnFunctions cudnn_;
  cublasLtHandle_t cublas_handle_ = nullptr;
  cudnnHandle_t cudnn_handle_ = nullptr;
  std::unique_ptr<GraphPlanner> graphs_;
  std::unique_ptr<ProductPlanner> products_;
};

}  // namespace

std::unique_ptr<Libraries> open_libraries(const Cuda& cuda, const BackendOptions& options) {
  const Surroundings surroundings = Surroundings::of_process(options.libraries);
  const Opened cublas = open_cublas(surroundings);
  open_nvrtc(surroundings);
  const Opened cudnn = open_cudnn(surroundings);
  return std::make_unique<NvidiaLibraries>(cuda, cublas, cudnn);
}

}  // namespace node_cudnn::cuda
