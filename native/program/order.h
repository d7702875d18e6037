// Which nodes of a verified graph are run, in which order.
#pragma once

#include <vector>

#include "program/graph.h"

namespace node_cudnn {

// The nodes that reach a variable or a kept value, in the order of the graph; the others have no effect.
std::vector<int> live_nodes(const Graph& graph);

}  // namespace node_cudnn
