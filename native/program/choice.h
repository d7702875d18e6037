// Which of several graphs takes the least time on a device.
#pragma once

#include <string>
#include <vector>

#include "program/device.h"
#include "program/graph.h"
#include "program/state.h"

namespace node_cudnn {

struct Alternative {
  std::string name;
  Graph graph;
};

// The name of the fastest, which the back end keeps under `problem`; a choice that it has kept is believed. The graphs
// use `variables`, which live only as long as it takes. Where the device has no room to measure: the first, and nothing
// is kept. On the device's thread.
std::string fastest(Device& device, const std::string& problem, const std::vector<Variable>& variables,
                    std::vector<Alternative> alternatives);

}  // namespace node_cudnn
