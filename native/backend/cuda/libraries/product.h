// Matrix products as cuBLASLt plans.
#pragma once

#include <cublasLt.h>

#include <memory>
#include <vector>

#include "backend/cuda/libraries.h"
#include "backend/cuda/libraries/shared_library.h"

namespace node_cudnn::cuda {

struct CublasFunctions {
  explicit CublasFunctions(const SharedLibrary& library);
  decltype(&cublasLtGetVersion) version;
  decltype(&cublasLtGetStatusString) status_string;
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulDescCreate) desc_create;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristics;
  decltype(&cublasLtMatmulAlgoConfigGetAttribute) algorithm_get;
};

void check(const CublasFunctions& cublas, cublasStatus_t status, const char* call);

class ProductPlanner {
 public:
  // The handle stays the caller's.
  ProductPlanner(const CublasFunctions& cublas, cublasLtHandle_t handle) : cublas_(cublas), handle_(handle) {}

  std::vector<Candidate> candidates(const Product& product) const;
  std::unique_ptr<Plan> build(const Candidate& candidate) const;

 private:
  const CublasFunctions& cublas_;
  cublasLtHandle_t handle_;
};

}  // namespace node_cudnn::cuda
