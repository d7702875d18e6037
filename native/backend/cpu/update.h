// What the ops that update parameters share: scalars, an optional scale and the gradients come in; the weights and as
// many states of each as the rule keeps are read and written in place.
#pragma once

#include <vector>

#include "backend/cpu/kernel.h"

namespace node_cudnn::cpu {

struct Update {
  size_t n, first_gradient;
  bool scaled;
  std::vector<int64_t> counts;

  float rate(const Arguments& a) const { return *input<float>(a, 0); }
  float scale(const Arguments& a) const { return scaled ? *input<float>(a, first_gradient - 1) : 1.0f; }
  const float* gradient(const Arguments& a, size_t i) const { return input<float>(a, first_gradient + i); }
  float* weight(const Arguments& a, size_t i) const { return output<float>(a, i); }
  float* state(const Arguments& a, size_t which, size_t i) const { return output<float>(a, (1 + which) * n + i); }
};

// Checks a node of `scalars` inputs (the first is the learning rate), the scale where there is one, and n gradients,
// whose outputs are n weights and n of each of the `states`.
Update update_of(const Graph& graph, const Node& node, size_t scalars, size_t states);

// An attribute of the rule: a number of at least 0.
float rule_number(const Node& node, const char* key);

}  // namespace node_cudnn::cpu
