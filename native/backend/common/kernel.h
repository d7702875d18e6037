// What every back end makes of a node, whatever its device: a kernel out of a function, with typed addresses.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"

namespace node_cudnn {

using InPlace = std::vector<std::pair<int, int>>;

template <class Run>
class FunctionKernel final : public Kernel {
 public:
  explicit FunctionKernel(Run run) : run_(std::move(run)) {}
  void run(const Arguments& arguments) override { run_(arguments); }

 private:
  Run run_;
};

template <class Run>
Prepared prepared(std::string implementation, Run run, size_t workspace_bytes = 0, InPlace in_place = {}) {
  return {std::make_unique<FunctionKernel<Run>>(std::move(run)), workspace_bytes, std::move(implementation),
          std::move(in_place)};
}

template <class T>
const T* input(const Arguments& arguments, size_t i) {
  return static_cast<const T*>(arguments.inputs[i]);
}
template <class T>
T* output(const Arguments& arguments, size_t i) {
  return static_cast<T*>(arguments.outputs[i]);
}

}  // namespace node_cudnn
