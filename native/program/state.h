// The variables of one model: one arena that outlives the programs that use it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "program/device.h"
#include "program/error.h"

namespace node_cudnn {

struct Variable {
  std::string name;
  ValueType type;
};

// The type of a value's elements outside the device, dense in logical order.
inline DType host_dtype(DType dtype) {
  return dtype == DType::bfloat16 || dtype == DType::float16 ? DType::float32 : dtype;
}
inline size_t host_bytes(const ValueType& type) {
  return static_cast<size_t>(elements(type.shape)) * size_of(host_dtype(type.dtype));
}

// Physical bytes; an error of the back end names the value.
size_t bytes_of(const Backend& backend, const std::string& name, const ValueType& type, ErrorCode mistake);

// Everything but variables() is called on the device's thread.
class State : public Resource {
 public:
  static std::shared_ptr<State> create(Device& device, std::vector<Variable> variables);

  const std::vector<Variable>& variables() const { return variables_; }
  void* address(size_t variable) const;
  std::shared_ptr<Memory> memory() const;
  void read(size_t variable, void* host);
  void write(size_t variable, const void* host);
  void release() noexcept override { memory_.reset(); }

 private:
  State(Device& device, std::vector<Variable> variables);

  Device& device_;
  const std::vector<Variable> variables_;
  std::vector<size_t> offsets_;
  std::shared_ptr<Memory> memory_;  // shared with the programs compiled against this state
};

}  // namespace node_cudnn
