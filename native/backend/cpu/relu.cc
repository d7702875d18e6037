#include "backend/cpu/element.h"
#include "backend/cpu/ops.h"

namespace node_cudnn::cpu {

Prepared prepare_relu(const Cpu& cpu, const Graph& graph, const Node& node) {
  return prepare_elements(cpu, graph, node, &simd::ElementKernels::relu);
}

Prepared prepare_relu_grad(const Cpu& cpu, const Graph& graph, const Node& node) {
  return prepare_elements(cpu, graph, node, &simd::ElementKernels::relu_grad);
}

}  // namespace node_cudnn::cpu
