// Nodes that have a kernel of ours, in whose place a plan of cuDNN may be taken; the device's option compiledEngines
// says whether.
#pragma once

#include "backend/cuda/engines.h"

namespace node_cudnn::cuda {

// `own`, or the plan that Engines::instead_of() answers with. `complete` adds what the plan leaves undone.
Prepared beside(Cuda& cuda, const Graph& graph, const Node& node, const Normalization& normalization, Prepared own,
                const Engines::Completion& complete = {});
Prepared beside(Cuda& cuda, const Graph& graph, const Node& node, const Pooling& pooling, Prepared own);

}  // namespace node_cudnn::cuda
