// Lays the values of one step, and what its kernels need for themselves, out in an arena. Pure: it knows sizes and
// lifetimes, not devices.
//
// Time 0 is before the step, when the inputs are written; node i runs at time i + 1. A value lives from the time at
// which it is written until its last reader has run, or to the end where it is kept; a workspace while its node runs.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "program/memory.h"

namespace node_cudnn {

struct ArenaValue {
  size_t bytes = 0;
  bool in_arena = false;  // variables live elsewhere
  bool input = false;
  bool keep = false;
  int whole = -1;           // the value inside which this one lies, which itself lies in the arena
  size_t whole_offset = 0;  // from the start of that one
};

struct ArenaNode {
  std::vector<int> inputs;
  std::vector<int> outputs;
  std::vector<std::pair<int, int>> in_place;  // (position in outputs, position in inputs) that may share an address
  size_t workspace_bytes = 0;
};

struct ArenaPlan {
  std::vector<int64_t> offsets;     // by value; -1 where it does not live in the arena
  std::vector<int64_t> workspaces;  // by node; -1 where it needs none
  size_t arena_bytes = 0;
  size_t lower_bound_bytes = 0;  // the most bytes live at one time
};

// Places the largest first, each at the lowest offset that no value of an overlapping lifetime uses (and tries a few
// other orders, as long as that leaves gaps). An output takes
// the place of an input where the node allows it, the input dies there, is read once by the node, and sizes agree.
// A value inside another one shares no other place; that one is alive as long as anything inside it.
ArenaPlan plan_arena(const std::vector<ArenaValue>& values, const std::vector<ArenaNode>& nodes);

}  // namespace node_cudnn
