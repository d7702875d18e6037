// Which values lie inside others: the inputs of a `concat` where it would copy them to, and what `slice_channels` cuts
// out where it would copy it from. Who writes such a value and all who read it must find it there, which the back end
// says.
#pragma once

#include <vector>

#include "backend/backend.h"

namespace node_cudnn {

// Sets Value::whole and Value::first_channel in a verified graph of which the nodes `live` are run.
//
// Invariants: part and whole are temporaries and the part is not kept; a whole is no part; concat or slice_channels is
// the only node for which they are two values.
void place_slices(Graph& graph, const std::vector<int>& live, const Backend& backend);

}  // namespace node_cudnn
