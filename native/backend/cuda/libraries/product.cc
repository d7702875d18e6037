#include "backend/cuda/libraries/product.h"

#include <array>
#include <new>
#include <span>
#include <stdexcept>
#include <string>

namespace node_cudnn::cuda {

namespace {

constexpr size_t workspace_limit = size_t{32} << 20;  // what NVIDIA advises for Hopper
constexpr int most_candidates = 8;
// Partial sums are added in float32 and in a fixed order: not in the output, whose type may be a half one.
constexpr uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;

cudaDataType_t data_type(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return CUDA_R_32F;
    case DType::float16:
      return CUDA_R_16F;
    case DType::bfloat16:
      return CUDA_R_16BF;
    default:
      throw std::invalid_argument(std::string("cuBLASLt multiplies no ") + name_of(dtype));
  }
}

// cuBLASLt counts in columns. A row-major [rows, columns] matrix is its column-major [columns, rows].
struct Matrix {
  DType dtype;
  int64_t rows, columns;
};

// c = a b, row-major, where a and b may be transposed in memory.
struct Operands {
  Matrix a, b, c;
  bool transpose_a, transpose_b;
  size_t a_input, b_input;  // which of the node's inputs they are
};

Operands operands(const Product& p) {
  const Matrix x{p.dtype, p.n, p.in}, w{p.dtype, p.out, p.in}, y{p.dtype, p.n, p.out};
  switch (p.pass) {
    case Pass::forward:  // y = x wᵀ
      return {x, w, {p.result, p.n, p.out}, false, true, 0, 1};
    case Pass::dgrad:  // dx = dy w
      return {y, w, {p.result, p.n, p.in}, false, false, 0, 1};
    case Pass::wgrad:  // dw = dyᵀ x
      return {y, x, {p.result, p.out, p.in}, true, false, 1, 0};
  }
  throw std::invalid_argument("unknown pass");
}

// The descriptors of one product; as cuBLASLt sees it, cᵀ = bᵀ aᵀ.
class Description {
 public:
  Description(const CublasFunctions& cublas, const Product& p) : cublas_(cublas), product_(p), operands_(operands(p)) {
    try {
      const auto compute = p.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
      check(cublas, cublas.desc_create(&product, compute, CUDA_R_32F), "cublasLtMatmulDescCreate");
      set(CUBLASLT_MATMUL_DESC_TRANSA, operands_.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
      set(CUBLASLT_MATMUL_DESC_TRANSB, operands_.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
      if (p.bias) {
        set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
        set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, data_type(p.dtype));
      }
      first = layout(operands_.b);
      second = layout(operands_.a);
      result = layout(operands_.c);
    } catch (...) {
      release();
      throw;
    }
  }
  ~Description() { release(); }
  Description(const Description&) = delete;
  Description& operator=(const Description&) = delete;

  template <class T>
  void set(cublasLtMatmulDescAttributes_t name, T value) {
    check(cublas_, cublas_.desc_set(product, name, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
  }
  const Operands& operands_of() const { return operands_; }
  bool biased() const { return product_.bias; }

  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t first = nullptr, second = nullptr, result = nullptr;

 private:
  cublasLtMatrixLayout_t layout(const Matrix& matrix) {
    cublasLtMatrixLayout_t made = nullptr;
    const auto columns = static_cast<uint64_t>(matrix.columns), rows = static_cast<uint64_t>(matrix.rows);
    check(cublas_, cublas_.layout_create(&made, data_type(matrix.dtype), columns, rows, matrix.columns),
          "cublasLtMatrixLayoutCreate");
    return made;
  }
  void release() noexcept {
    for (cublasLtMatrixLayout_t made : {first, second, result}) {
      if (made != nullptr) cublas_.layout_destroy(made);
    }
    if (product != nullptr) cublas_.desc_destroy(product);
  }

  const CublasFunctions& cublas_;
  const Product product_;
  const Operands operands_;
};

struct Way {
  std::shared_ptr<Description> description;
  cublasLtMatmulAlgo_t algorithm;
  size_t workspace_bytes;
};

class CublasPlan final : public Plan {
 public:
  CublasPlan(const CublasFunctions& cublas, cublasLtHandle_t handle, const Way& way)
      : cublas_(cublas), handle_(handle), way_(way) {}

  size_t workspace_bytes() const override { return way_.workspace_bytes; }

  void run(cudaStream_t stream, const Arguments& a) override {
    Description& d = *way_.description;
    const Operands& o = d.operands_of();
    const float one = 1, zero = 0;
    if (d.biased()) d.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, a.inputs[2]);
    const cublasStatus_t status = cublas_.matmul(
        handle_, d.product, &one, a.inputs[o.b_input], d.first, a.inputs[o.a_input], d.second, &zero, a.outputs[0],
        d.result, a.outputs[0], d.result, &way_.algorithm, a.workspace, way_.workspace_bytes, stream);
    if (status != CUBLAS_STATUS_SUCCESS) expect_alive(stream);
    check(cublas_, status, "cublasLtMatmul");
  }

 private:
  const CublasFunctions& cublas_;
  cublasLtHandle_t handle_;
  const Way way_;
};

template <class T>
T property(const CublasFunctions& cublas, const cublasLtMatmulAlgo_t& algorithm,
           cublasLtMatmulAlgoConfigAttributes_t name) {
  T value{};
  size_t written = 0;
  check(cublas, cublas.algorithm_get(&algorithm, name, &value, sizeof value, &written),
        "cublasLtMatmulAlgoConfigGetAttribute");
  return value;
}

// "cublaslt:66 tile 20 stages 35 splitk 1 cluster 2 swizzle 0 inner 0 option 0"
std::string name_of(const CublasFunctions& cublas, const cublasLtMatmulAlgo_t& a) {
  return "cublaslt:" + std::to_string(property<int32_t>(cublas, a, CUBLASLT_ALGO_CONFIG_ID)) + " tile " +
         std::to_string(property<uint32_t>(cublas, a, CUBLASLT_ALGO_CONFIG_TILE_ID)) + " stages " +
         std::to_string(property<uint32_t>(cublas, a, CUBLASLT_ALGO_CONFIG_STAGES_ID)) + " splitk " +
         std::to_string(property<int32_t>(cublas, a, CUBLASLT_ALGO_CONFIG_SPLITK_NUM)) + " cluster " +
         std::to_string(property<uint16_t>(cublas, a, CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID)) + " swizzle " +
         std::to_string(property<uint32_t>(cublas, a, CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING)) + " inner " +
         std::to_string(property<uint16_t>(cublas, a, CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID)) + " option " +
         std::to_string(property<uint32_t>(cublas, a, CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION));
}

}  // namespace

CublasFunctions::CublasFunctions(const SharedLibrary& library)
    : version(library.symbol<decltype(version)>("cublasLtGetVersion")),
      status_string(library.symbol<decltype(status_string)>("cublasLtGetStatusString")),
      create(library.symbol<decltype(create)>("cublasLtCreate")),
      destroy(library.symbol<decltype(destroy)>("cublasLtDestroy")),
      matmul(library.symbol<decltype(matmul)>("cublasLtMatmul")),
      desc_create(library.symbol<decltype(desc_create)>("cublasLtMatmulDescCreate")),
      desc_destroy(library.symbol<decltype(desc_destroy)>("cublasLtMatmulDescDestroy")),
      desc_set(library.symbol<decltype(desc_set)>("cublasLtMatmulDescSetAttribute")),
      layout_create(library.symbol<decltype(layout_create)>("cublasLtMatrixLayoutCreate")),
      layout_destroy(library.symbol<decltype(layout_destroy)>("cublasLtMatrixLayoutDestroy")),
      preference_create(library.symbol<decltype(preference_create)>("cublasLtMatmulPreferenceCreate")),
      preference_destroy(library.symbol<decltype(preference_destroy)>("cublasLtMatmulPreferenceDestroy")),
      preference_set(library.symbol<decltype(preference_set)>("cublasLtMatmulPreferenceSetAttribute")),
      heuristics(library.symbol<decltype(heuristics)>("cublasLtMatmulAlgoGetHeuristic")),
      algorithm_get(library.symbol<decltype(algorithm_get)>("cublasLtMatmulAlgoConfigGetAttribute")) {}

void check(const CublasFunctions& cublas, cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  if (status == CUBLAS_STATUS_ALLOC_FAILED) throw std::bad_alloc();
  throw LibraryError(std::string(call) + ": " + cublas.status_string(status));
}

std::vector<Candidate> ProductPlanner::candidates(const Product& product) const {
  const auto description = std::make_shared<Description>(cublas_, product);
  cublasLtMatmulPreference_t made = nullptr;
  check(cublas_, cublas_.preference_create(&made), "cublasLtMatmulPreferenceCreate");
  const std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, decltype(cublas_.preference_destroy)> preference(
      made, cublas_.preference_destroy);
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t name, const auto& value) {
    check(cublas_, cublas_.preference_set(made, name, &value, sizeof value), "cublasLtMatmulPreferenceSetAttribute");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_limit);
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions);
  std::array<cublasLtMatmulHeuristicResult_t, most_candidates> results;
  int count = 0;
  const cublasStatus_t status =
      cublas_.heuristics(handle_, description->product, description->first, description->second, description->result,
                         description->result, made, most_candidates, results.data(), &count);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) return {};
  check(cublas_, status, "cublasLtMatmulAlgoGetHeuristic");
  std::vector<Candidate> found;
  for (const auto& result : std::span(results).first(static_cast<size_t>(count))) {
    if (result.state != CUBLAS_STATUS_SUCCESS) continue;
    found.push_back({name_of(cublas_, result.algo), false,
                     std::make_shared<Way>(Way{description, result.algo, result.workspaceSize})});
  }
  return found;
}

std::unique_ptr<Plan> ProductPlanner::build(const Candidate& candidate) const {
  return std::make_unique<CublasPlan>(cublas_, handle_, *static_cast<const Way*>(candidate.way.get()));
}

}  // namespace node_cudnn::cuda
