// Checks the invariants of program/graph.h before anything is allocated. What a node means is its back end's business.
#pragma once

#include <vector>

#include "program/state.h"

namespace node_cudnn {

void verify(const std::vector<Variable>& variables);                      // throws ERR_ARGUMENT
void verify(const Graph& graph, const std::vector<Variable>& variables);  // throws ERR_GRAPH

}  // namespace node_cudnn
