#include "program/state.h"

#include "program/verify.h"

namespace node_cudnn {

size_t bytes_of(const Backend& backend, const std::string& name, const ValueType& type, ErrorCode mistake) {
  try {
    return backend.bytes(type);
  } catch (const std::exception& error) {
    throw Error(mistake, "'" + name + "' " + to_string(type.shape) + ": " + error.what());
  }
}

State::State(Device& device, std::vector<Variable> variables) : device_(device), variables_(std::move(variables)) {
  verify(variables_);
  size_t total = 0;
  for (const Variable& variable : variables_) {
    offsets_.push_back(total);
    total += align(bytes_of(device.backend(), variable.name, variable.type, ErrorCode::argument));
  }
  memory_ = device.allocate(total, "the state of " + std::to_string(variables_.size()) + " variables");
}

std::shared_ptr<State> State::create(Device& device, std::vector<Variable> variables) {
  std::shared_ptr<State> state(new State(device, std::move(variables)));
  device.keep(state);
  return state;
}

std::shared_ptr<Memory> State::memory() const {
  if (!memory_) throw Error(ErrorCode::closed, "the state is closed; create another one");
  return memory_;
}

void* State::address(size_t variable) const { return memory()->at(offsets_.at(variable)); }

void State::read(size_t variable, void* host) {
  void* from = address(variable);
  device_.backend().synchronise();
  device_.backend().read(variables_.at(variable).type, from, host);
}

void State::write(size_t variable, const void* host) {
  device_.backend().write(variables_.at(variable).type, host, address(variable));
}

}  // namespace node_cudnn
