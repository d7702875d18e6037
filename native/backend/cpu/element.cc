#include "backend/cpu/element.h"

#include "backend/cpu/slices.h"

namespace node_cudnn::cpu {

namespace {

// body(arguments, begin, end) computes a range of elements.
template <class Body>
Prepared by_elements(const Cpu& cpu, const Graph& graph, const Node& node, const Shape& shape, const Body& body,
                     InPlace in_place) {
  const auto run = [body, threads = cpu.threads, gaps = Gaps(graph, node), count = elements(shape),
                    image = elements(shape) / shape.at(0)](const Arguments& a) {
    parallel_elements(threads, count,
                      [&](int64_t begin, int64_t end) { gaps.for_each_image(a, begin, end, image, body); });
  };
  return prepared(simd_name(cpu), run, 0, std::move(in_place));
}

}  // namespace

Prepared prepare_elements(const Cpu& cpu, const Graph& graph, const Node& node, Unary simd::ElementKernels::*kernel) {
  const ValueType& type = expect_equal_types(graph, node, 1, 1);
  const auto body = [f = simd::element(cpu.isa, type.dtype).*kernel](const Arguments& a, int64_t begin, int64_t end) {
    f(a.inputs[0], a.outputs[0], begin, end);
  };
  return by_elements(cpu, graph, node, type.shape, body, {{0, 0}});
}

Prepared prepare_elements(const Cpu& cpu, const Graph& graph, const Node& node, Binary simd::ElementKernels::*kernel) {
  const ValueType& type = expect_equal_types(graph, node, 2, 1);
  const auto body = [f = simd::element(cpu.isa, type.dtype).*kernel](const Arguments& a, int64_t begin, int64_t end) {
    f(a.inputs[0], a.inputs[1], a.outputs[0], begin, end);
  };
  return by_elements(cpu, graph, node, type.shape, body, {{0, 0}, {0, 1}});
}

}  // namespace node_cudnn::cpu
