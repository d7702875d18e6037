// Errors that carry the code which JavaScript sees; every other exception becomes one of these at the edge of a call.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace node_cudnn {

enum class ErrorCode : uint8_t { argument, graph, device, device_lost, out_of_memory, closed };

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

inline const char* name_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::argument:
      return "ERR_ARGUMENT";
    case ErrorCode::graph:
      return "ERR_GRAPH";
    case ErrorCode::device:
      return "ERR_DEVICE";
    case ErrorCode::device_lost:
      return "ERR_DEVICE_LOST";
    case ErrorCode::out_of_memory:
      return "ERR_OUT_OF_MEMORY";
    case ErrorCode::closed:
      return "ERR_CLOSED";
  }
  return "ERR_DEVICE";
}

}  // namespace node_cudnn
