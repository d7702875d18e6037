#include "backend/cpu/element.h"
#include "backend/cpu/ops.h"

namespace node_cudnn::cpu {

Prepared prepare_mul(const Cpu& cpu, const Graph& graph, const Node& node) {
  return prepare_elements(cpu, graph, node, &simd::ElementKernels::mul);
}

}  // namespace node_cudnn::cpu
