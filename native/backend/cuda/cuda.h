// What every kernel of the CUDA back end knows: the device, its compute stream, and how values lie in its memory.
//
// Layouts: an activation is [n][h][w][c], a filter [o][kh][kw][i], everything else row-major; nothing is padded.
// Host memory that a stream reads or writes is pinned; nothing here waits for the device's kernels but synchronise()
// and what mark() gives.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "backend/backend.h"

namespace node_cudnn::cuda {

// Every status of the runtime comes through here; throws Error, whose code is device_lost where the process must
// restart, and std::bad_alloc where memory ran out.
void check(cudaError_t status, const char* call);
// After a library failed on this stream, whose own status does not tell: throws where the process must restart.
void expect_alive(cudaStream_t stream);

// What a kernel writes where the data are at fault: an index out of range. The first fault of a step stays.
struct Fault {
  int32_t site;      // from Cuda::add_fault; 0: none
  int32_t position;  // in the input
  int32_t value;     // found there
};

class Engines;
class FaultSites;
class Libraries;

struct Cuda {
  int ordinal = 0;
  std::string name;            // "NVIDIA H100 80GB HBM3"
  int compute_capability = 0;  // 90 for sm_90
  int multiprocessors = 0;
  size_t l2_bytes = 0;
  bool deterministic = false;     // no atomics, no engine whose sums depend on timing
  bool tf32 = false;              // float32 products may round their operands to tf32
  cudaStream_t stream = nullptr;  // all kernels run here, in order
  Fault* fault = nullptr;         // in device memory
  FaultSites* fault_sites = nullptr;
  Libraries* libraries = nullptr;  // libraries.h
  Engines* engines = nullptr;      // engines.h

  // The site that a kernel names in Fault::site; `message` says what its position and value mean.
  int add_fault(std::function<std::string(const Fault&)> message);
};

// Every op has one function of this type in the file of its family; ops.cc is the table.
using Prepare = Prepared (*)(Cuda& cuda, const Graph& graph, const Node& node);
Prepare find_op(const std::string& op);  // nullptr where the back end lacks it

}  // namespace node_cudnn::cuda
