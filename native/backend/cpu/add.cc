#include "backend/cpu/element.h"
#include "backend/cpu/ops.h"

namespace node_cudnn::cpu {

Prepared prepare_add(const Cpu& cpu, const Graph& graph, const Node& node) {
  return prepare_elements(cpu, graph, node, &simd::ElementKernels::add);
}

}  // namespace node_cudnn::cpu
