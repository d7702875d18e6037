// What the ops that update parameters share: scalars, an optional scale and the gradients come in; the weights and as
// many states of each as the rule keeps are read and written in place.
#pragma once

#include "backend/reference/op.h"

namespace node_cudnn::reference {

struct Update {
  size_t n, first_gradient;
  bool scaled;
  DType dtype;
  std::vector<int64_t> counts;

  template <class T>
  double rate(const Arguments& a) const {
    return double{*input<T>(a, 0)};
  }
  template <class T>
  double scale(const Arguments& a) const {
    return scaled ? double{*input<T>(a, first_gradient - 1)} : 1;
  }
  template <class T>
  const T* gradient(const Arguments& a, size_t i) const {
    return input<T>(a, first_gradient + i);
  }
  template <class T>
  T* weight(const Arguments& a, size_t i) const {
    return output<T>(a, i);
  }
  template <class T>
  T* state(const Arguments& a, size_t which, size_t i) const {
    return output<T>(a, (1 + which) * n + i);
  }
};

// Checks a node of `scalars` inputs (the first is the learning rate), the scale where there is one, and n gradients,
// whose outputs are n weights and n of each of the `states`.
Update update_of(const Op& op, size_t scalars, const std::vector<std::string>& states);

}  // namespace node_cudnn::reference
