#include "program/choice.h"

#include <limits>
#include <memory>

#include "program/error.h"
#include "program/program.h"

namespace node_cudnn {
namespace {

// A resource for as long as it is in scope.
template <class Held>
class Scoped {
 public:
  Scoped(Device& device, std::shared_ptr<Held> held) : device_(device), held_(std::move(held)) {}
  ~Scoped() { device_.discard(held_.get()); }
  Scoped(const Scoped&) = delete;
  Scoped& operator=(const Scoped&) = delete;
  Held& operator*() const { return *held_; }

 private:
  Device& device_;
  std::shared_ptr<Held> held_;
};

std::string measure(Device& device, const std::vector<Variable>& variables, std::vector<Alternative> alternatives) {
  const Scoped<State> state(device, State::create(device, variables));
  std::string best;
  double least = std::numeric_limits<double>::infinity();
  for (auto& [name, graph] : alternatives) {
    const Scoped<Program> program(device, Program::compile(device, std::move(graph), *state));
    const double seconds = (*program).measure();
    if (seconds >= least) continue;
    least = seconds;
    best = name;
  }
  return best;
}

}  // namespace

std::string fastest(Device& device, const std::string& problem, const std::vector<Variable>& variables,
                    std::vector<Alternative> alternatives) {
  if (alternatives.empty()) throw Error(ErrorCode::argument, "there is nothing to choose from (" + problem + ")");
  const std::string first = alternatives.front().name, known = device.backend().known_choice(problem);
  for (const Alternative& alternative : alternatives) {
    if (alternative.name == known) return known;
  }
  try {
    const std::string best = measure(device, variables, std::move(alternatives));
    device.backend().keep_choice(problem, best);
    return best;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::out_of_memory) throw;
    return first;
  }
}

}  // namespace node_cudnn
