// What kernels may complain about: a site is a message that waits for the values that a kernel found.
#pragma once

#include <vector>

#include "backend/cuda/cuda.h"

namespace node_cudnn::cuda {

class FaultSites {
 public:
  using Message = std::function<std::string(const Fault&)>;
  int add(Message message) {
    messages_.push_back(std::move(message));
    return static_cast<int>(messages_.size());
  }
  std::string message(const Fault& fault) const { return messages_.at(static_cast<size_t>(fault.site) - 1)(fault); }

 private:
  std::vector<Message> messages_;
};

}  // namespace node_cudnn::cuda
