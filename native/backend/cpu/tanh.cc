#include "backend/cpu/element.h"
#include "backend/cpu/ops.h"

namespace node_cudnn::cpu {

Prepared prepare_tanh(const Cpu& cpu, const Graph& graph, const Node& node) {
  return prepare_elements(cpu, graph, node, &simd::ElementKernels::tanh);
}

Prepared prepare_tanh_grad(const Cpu& cpu, const Graph& graph, const Node& node) {
  return prepare_elements(cpu, graph, node, &simd::ElementKernels::tanh_grad);
}

}  // namespace node_cudnn::cpu
