#include "backend/cpu/element.h"
#include "backend/cpu/ops.h"

namespace node_cudnn::cpu {

Prepared prepare_sigmoid(const Cpu& cpu, const Graph& graph, const Node& node) {
  return prepare_elements(cpu, graph, node, &simd::ElementKernels::sigmoid);
}

Prepared prepare_sigmoid_grad(const Cpu& cpu, const Graph& graph, const Node& node) {
  return prepare_elements(cpu, graph, node, &simd::ElementKernels::sigmoid_grad);
}

}  // namespace node_cudnn::cpu
