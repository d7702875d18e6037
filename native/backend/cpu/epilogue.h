// What a convolution does to its sums before it stores them: y = relu(sum + bias + residual), each where it is given.
#pragma once

#include "backend/cpu/kernel.h"

namespace node_cudnn::cpu {

// Numbers of the inputs, which are x, w, [bias], [residual]; 0: not given.
struct Epilogue {
  size_t bias = 0, residual = 0;
  bool relu = false;
};

inline const void* optional_input(const Arguments& arguments, size_t i) {
  return i == 0 ? nullptr : arguments.inputs[i];
}

}  // namespace node_cudnn::cpu
