#include "program/program.h"

#include <algorithm>
#include <new>

#include "program/error.h"
#include "program/order.h"
#include "program/planner.h"
#include "program/slices.h"
#include "program/verify.h"

namespace node_cudnn {
namespace {

// The message behind the node's op and path; back ends may have named the op, or both.
std::string named(const Node* node, const std::string& message) {
  if (node == nullptr) return message;
  const std::string name = node->op + (node->path.empty() ? "" : " " + node->path);
  if (message.starts_with(name)) return message;
  return name + (message.starts_with(node->op + ":") ? message.substr(node->op.size()) : ": " + message);
}

// The exception in flight as an Error that names the node; `mistake` is the code for errors in what was asked.
[[noreturn]] void rethrow(const Node* node, ErrorCode mistake) {
  try {
    throw;
  } catch (const Error& error) {
    throw Error(error.code(), named(node, error.what()));
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::out_of_memory, named(node, "out of memory"));
  } catch (const std::logic_error& error) {
    throw Error(mistake, named(node, error.what()));
  } catch (const std::exception& error) {
    throw Error(ErrorCode::device, named(node, error.what()));
  }
}

}  // namespace

Program::Program(Device& device, Graph graph, const State& state)
    : device_(device), graph_(std::move(graph)), state_memory_(state.memory()) {
  verify(graph_, state.variables());
  for (size_t i = 0; i < graph_.values.size(); ++i) {
    if (graph_.values[i].storage == Storage::input) inputs_.push_back(i);
  }
}

std::shared_ptr<Program> Program::compile(Device& device, Graph graph, const State& state) {
  std::shared_ptr<Program> program(new Program(device, std::move(graph), state));
  program->build(state);
  device.keep(program);
  return program;
}

Plan Program::plan(Device& device, Graph graph, const State& state) {
  Program program(device, std::move(graph), state);
  program.lay_out(program.prepare());
  return std::move(program.plan_);
}

void Program::build(const State& state) {
  std::vector<Prepared> prepared = prepare();
  lay_out(prepared);
  memory_ = device_.allocate(plan_.arena_bytes, "the program");
  connect(std::move(prepared), state);
  guarded([&] { replay_ = device_.backend().capture([this] { launch(); }); });
}

std::vector<Prepared> Program::prepare() {
  std::vector<Prepared> all;
  const std::vector<int> live = live_nodes(graph_);
  place_slices(graph_, live, device_.backend());
  for (int index : live) {
    const Node& node = graph_.nodes[static_cast<size_t>(index)];
    try {
      all.push_back(device_.backend().prepare(graph_, node));
    } catch (...) {
      rethrow(&node, ErrorCode::graph);
    }
    plan_.nodes.push_back({index, all.back().implementation, all.back().workspace_bytes});
  }
  return all;
}

void Program::lay_out(const std::vector<Prepared>& prepared) {
  std::vector<ArenaValue> values;
  for (const Value& value : graph_.values) {
    plan_.bytes.push_back(bytes_of(device_.backend(), value.name, value.type, ErrorCode::graph));
    values.push_back({plan_.bytes.back(), value.storage != Storage::variable, value.storage == Storage::input,
                      value.keep, value.whole, whole_offset(value)});
    plan_.wholes.push_back(value.whole);
  }
  std::vector<ArenaNode> nodes;
  for (size_t i = 0; i < prepared.size(); ++i) {
    const Node& node = graph_.nodes[static_cast<size_t>(plan_.nodes[i].node)];
    nodes.push_back({node.inputs, node.outputs, prepared[i].in_place, prepared[i].workspace_bytes});
  }
  ArenaPlan arena = plan_arena(values, nodes);
  plan_.offsets = std::move(arena.offsets);
  plan_.workspaces = std::move(arena.workspaces);
  plan_.arena_bytes = arena.arena_bytes;
  plan_.lower_bound_bytes = arena.lower_bound_bytes;
}

size_t Program::whole_offset(const Value& part) const {
  if (part.whole < 0) return 0;
  const ValueType& whole = graph_.values[static_cast<size_t>(part.whole)].type;
  return device_.backend().offset_in(whole, part.type, part.first_channel).value();
}

void Program::connect(std::vector<Prepared> prepared, const State& state) {
  for (size_t i = 0; i < graph_.values.size(); ++i) {
    const Value& value = graph_.values[i];
    if (value.storage == Storage::variable) {
      addresses_.push_back(state.address(static_cast<size_t>(value.variable)));
    } else {
      addresses_.push_back(in_arena(plan_.offsets[i]));
    }
  }
  auto addresses_of = [this](const std::vector<int>& values) {
    std::vector<void*> addresses;
    for (int value : values) addresses.push_back(addresses_[static_cast<size_t>(value)]);
    return addresses;
  };
  for (size_t i = 0; i < prepared.size(); ++i) {
    const Node& node = graph_.nodes[static_cast<size_t>(plan_.nodes[i].node)];
    steps_.push_back({&node, std::move(prepared[i].kernel), addresses_of(node.inputs), addresses_of(node.outputs),
                      in_arena(plan_.workspaces[i])});
  }
}

void* Program::in_arena(int64_t offset) const {
  return offset < 0 ? nullptr : memory_->at(static_cast<size_t>(offset));
}

void Program::write_inputs(size_t step, const std::vector<const std::byte*>& inputs) {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const ValueType& type = graph_.values[inputs_[i]].type;
    device_.backend().write(type, inputs[i] + step * host_bytes(type), addresses_[inputs_[i]]);
  }
}

void Program::launch() {
  for (Step& step : steps_) launch(step);
}

void Program::launch(Step& step) {
  running_ = step.node;
  step.kernel->run({step.inputs.data(), step.outputs.data(), step.workspace});
  running_ = nullptr;
}

void Program::expect_open() const {
  if (!memory_) throw Error(ErrorCode::closed, "the program is closed; compile it again");
}

template <class Work>
void Program::guarded(Work work) {
  running_ = nullptr;
  try {
    work();
  } catch (...) {
    rethrow(running_, ErrorCode::argument);
  }
}

Wait Program::start(size_t steps, const std::vector<const std::byte*>& inputs) {
  expect_open();
  Wait wait;
  guarded([&] {
    for (size_t step = 0; step < steps; ++step) {
      if (device_.abandoned()) throw Error(ErrorCode::closed, "the device was closed while the program ran");
      write_inputs(step, inputs);
      replay_();
    }
    wait = device_.backend().mark();
  });
  return wait;
}

std::vector<double> Program::profile(const std::vector<const std::byte*>& inputs) {
  expect_open();
  std::vector<double> seconds;
  guarded([&] {
    write_inputs(0, inputs);
    std::vector<std::function<void()>> launches;
    for (Step& step : steps_) launches.push_back([this, &step] { launch(step); });
    seconds = device_.backend().time(launches);
  });
  return seconds;
}

double Program::measure() {
  expect_open();
  double seconds = 0;
  guarded([&] { seconds = device_.backend().measure([this] { launch(); }); });
  return seconds;
}

void Program::fetch(size_t value, void* host) {
  expect_open();
  guarded([&] {
    device_.backend().synchronise();
    device_.backend().read(graph_.values.at(value).type, addresses_.at(value), host);
  });
}

void Program::release() noexcept {
  replay_ = nullptr;
  steps_.clear();
  memory_.reset();
  state_memory_.reset();
}

}  // namespace node_cudnn
