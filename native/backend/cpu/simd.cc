// Picks the table of kernels for the processor.
#include "backend/cpu/simd/simd.h"

#include <initializer_list>

#include "backend/cpu/cpu.h"

namespace node_cudnn::cpu::simd {
namespace {

#if defined(__x86_64__) || defined(_M_X64)
#define NODE_CUDNN_TABLE(isa, name) \
  (isa == Isa::avx512 ? &avx512::name : isa == Isa::avx2 ? &avx2::name : &generic::name)
#else
#define NODE_CUDNN_TABLE(isa, name) (static_cast<void>(isa), &generic::name)
#endif

}  // namespace

const ElementKernels& element(Isa isa, DType dtype) {
  return dtype == DType::bfloat16 ? *NODE_CUDNN_TABLE(isa, element_bfloat16) : *NODE_CUDNN_TABLE(isa, element_float32);
}

const BatchNormKernels& batch_norm(Isa isa, DType dtype) {
  return dtype == DType::bfloat16 ? *NODE_CUDNN_TABLE(isa, batch_norm_bfloat16)
                                  : *NODE_CUDNN_TABLE(isa, batch_norm_float32);
}

const ResponseKernels& response(Isa isa, DType dtype) {
  return dtype == DType::bfloat16 ? *NODE_CUDNN_TABLE(isa, response_bfloat16)
                                  : *NODE_CUDNN_TABLE(isa, response_float32);
}

const SoftmaxKernels& softmax(Isa isa, DType dtype) {
  return dtype == DType::bfloat16 ? *NODE_CUDNN_TABLE(isa, softmax_bfloat16) : *NODE_CUDNN_TABLE(isa, softmax_float32);
}

const OptimizerKernels& optimizer(Isa isa) { return *NODE_CUDNN_TABLE(isa, optimizer); }

}  // namespace node_cudnn::cpu::simd
