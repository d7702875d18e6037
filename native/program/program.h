// A graph compiled for a device: kernels, addresses and one arena, all fixed before the first step.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "program/device.h"
#include "program/graph.h"
#include "program/state.h"

namespace node_cudnn {

struct Plan {
  struct PlannedNode {
    int node = 0;  // index into Graph::nodes
    std::string implementation;
    size_t workspace_bytes = 0;
  };
  std::vector<PlannedNode> nodes;   // in execution order, without dead nodes
  std::vector<int64_t> offsets;     // by value; -1 where it does not live in the arena
  std::vector<int64_t> workspaces;  // by planned node: offsets; -1 where it needs none
  std::vector<size_t> bytes;        // by value
  std::vector<int> wholes;          // by value: the one inside which it lies; -1: none
  size_t arena_bytes = 0;
  size_t lower_bound_bytes = 0;
};

// Everything but graph() and plan() is called on the device's thread. An error of a step leaves the program usable;
// what the step has written until then stays written.
class Program : public Resource {
 public:
  static std::shared_ptr<Program> compile(Device& device, Graph graph, const State& state);
  // What compile() would lay out, without taking memory.
  static Plan plan(Device& device, Graph graph, const State& state);

  const Graph& graph() const { return graph_; }
  const Plan& plan() const { return plan_; }

  // Starts so many steps, and gives what waits for the last. `inputs`: for every input value, in value order, the host
  // data of all steps, one behind the other; free again on return.
  Wait start(size_t steps, const std::vector<const std::byte*>& inputs);
  // One step; seconds of every node of the plan.
  std::vector<double> profile(const std::vector<const std::byte*>& inputs);
  // Seconds that a step takes, on inputs as the last one left them.
  double measure();
  // A kept value or a variable, dense in logical order.
  void fetch(size_t value, void* host);
  void release() noexcept override;

 private:
  struct Step {
    const Node* node;
    std::unique_ptr<Kernel> kernel;
    std::vector<void*> inputs;
    std::vector<void*> outputs;
    void* workspace;
  };

  Program(Device& device, Graph graph, const State& state);
  void build(const State& state);
  std::vector<Prepared> prepare();
  void lay_out(const std::vector<Prepared>& prepared);
  size_t whole_offset(const Value& part) const;
  void connect(std::vector<Prepared> prepared, const State& state);
  void* in_arena(int64_t offset) const;
  void write_inputs(size_t step, const std::vector<const std::byte*>& inputs);
  void launch();
  void launch(Step& step);
  void expect_open() const;
  template <class Work>
  void guarded(Work work);

  Device& device_;
  Graph graph_;
  Plan plan_;
  std::shared_ptr<Memory> state_memory_;
  std::unique_ptr<Memory> memory_;  // the arena
  std::vector<void*> addresses_;    // by value
  std::vector<size_t> inputs_;      // the input values
  std::vector<Step> steps_;
  std::function<void()> replay_;
  const Node* running_ = nullptr;
};

}  // namespace node_cudnn
