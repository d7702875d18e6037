#include "backend/cpu/update.h"

namespace node_cudnn::cpu {

Update update_of(const Graph& graph, const Node& node, size_t scalars, size_t states) {
  Update u = {};
  u.scaled = node.attributes.flag("scaled");
  u.first_gradient = scalars + (u.scaled ? 1 : 0);
  expect(node.inputs.size() > u.first_gradient, "there are no gradients");
  u.n = node.inputs.size() - u.first_gradient;
  expect_counts(node, node.inputs.size(), u.n * (1 + states));
  expect_type("learning_rate", input_type(graph, node, 0), plain(DType::float32, {1}));
  if (u.scaled) expect_type("scale", input_type(graph, node, scalars), plain(DType::float32, {1}));
  for (size_t i = 0; i < u.n; ++i) {
    const ValueType& w = output_type(graph, node, i);
    expect(w.dtype == DType::float32, "a parameter must be float32, not " + std::string(name_of(w.dtype)));
    expect_type("a gradient", input_type(graph, node, u.first_gradient + i), w);
    for (size_t s = 1; s <= states; ++s) expect_type("a state", output_type(graph, node, s * u.n + i), w);
    u.counts.push_back(elements(w.shape));
  }
  return u;
}

float rule_number(const Node& node, const char* key) { return static_cast<float>(expect_number(node, key, 0, 1e30)); }

}  // namespace node_cudnn::cpu
