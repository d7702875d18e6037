// What the ops that update parameters share: the addresses of their operands, and their numbers.
#pragma once

#include "backend/cpu/kernel.h"

namespace node_cudnn::cpu {

struct Update : node_cudnn::Update {
  float rate(const Arguments& a) const { return *input<float>(a, 0); }
  float scale(const Arguments& a) const { return scaled ? *input<float>(a, first_gradient - 1) : 1.0f; }
  const float* gradient(const Arguments& a, size_t i) const { return input<float>(a, first_gradient + i); }
  float* weight(const Arguments& a, size_t i) const { return output<float>(a, i); }
  float* state(const Arguments& a, size_t which, size_t i) const { return output<float>(a, (1 + which) * n + i); }
};

// An attribute of the rule: a number of at least 0.
inline float rule_number(const Node& node, const char* key) {
  return static_cast<float>(expect_number(node, key, 0, 1e30));
}

}  // namespace node_cudnn::cpu
