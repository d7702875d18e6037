#include <vector>

#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"
#include "backend/cpu/simd/simd.h"

namespace node_cudnn::cpu {
namespace {

struct Update {
  simd::SgdStep step;
  bool scaled, has_momentum;
  size_t parameters;
  size_t first_gradient() const { return scaled ? 2 : 1; }
};

Update update_of(const Node& node) {
  const auto number = [&](const char* key) { return static_cast<float>(expect_number(node, key, 0, 1e30)); };
  Update u = {};
  u.step.weight_decay = number("weight_decay");
  u.step.momentum = number("momentum");
  u.step.nesterov = node.attributes.flag("nesterov");
  u.scaled = node.attributes.flag("scaled");
  u.has_momentum = u.step.momentum != 0;
  expect(node.inputs.size() > u.first_gradient(), "there are no gradients");
  u.parameters = node.inputs.size() - u.first_gradient();
  expect_counts(node, node.inputs.size(), u.parameters * (u.has_momentum ? 2 : 1));
  return u;
}

std::vector<int64_t> check_parameters(const Graph& graph, const Node& node, const Update& u) {
  expect_type("learning_rate", input_type(graph, node, 0), plain(DType::float32, {1}));
  if (u.scaled) expect_type("scale", input_type(graph, node, 1), plain(DType::float32, {1}));
  std::vector<int64_t> counts;
  for (size_t i = 0; i < u.parameters; ++i) {
    const ValueType& w = output_type(graph, node, i);
    expect(w.dtype == DType::float32, "a parameter must be float32, not " + std::string(name_of(w.dtype)));
    expect_type("a gradient", input_type(graph, node, u.first_gradient() + i), w);
    if (u.has_momentum) expect_type("a momentum buffer", output_type(graph, node, u.parameters + i), w);
    counts.push_back(elements(w.shape));
  }
  return counts;
}

}  // namespace

Prepared prepare_sgd_update(const Cpu& cpu, const Graph& graph, const Node& node) {
  const Update u = update_of(node);
  const auto run = [u, threads = cpu.threads, work = stretches(check_parameters(graph, node, u)),
                    &kernels = simd::optimizer(cpu.isa)](const Arguments& a) {
    simd::SgdStep step = u.step;
    step.learning_rate = *input<float>(a, 0);
    step.scale = u.scaled ? *input<float>(a, 1) : 1.0f;
    parallel_stretches(threads, work, [&](size_t, const Stretch& s) {
      const float* g = input<float>(a, u.first_gradient() + s.value);
      float* w = output<float>(a, s.value);
      if (u.has_momentum)
        kernels.sgd_momentum(step, g, w, output<float>(a, u.parameters + s.value), s.begin, s.end);
      else
        kernels.sgd(step, g, w, s.begin, s.end);
    });
  };
  return prepared(simd_name(cpu), run);
}

}  // namespace node_cudnn::cpu
