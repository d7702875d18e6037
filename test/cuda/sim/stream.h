// Streams that do nothing until somebody waits for them, and graphs that record what a stream would have done.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace node_cudnn::simulation {

using Work = std::function<void()>;
using Recorded = std::shared_ptr<std::vector<Work>>;

// Counts those events and graphs that were not destroyed yet.
struct Counted {
  Counted() { ++alive; }
  ~Counted() { --alive; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  static inline std::atomic<int> alive = 0;
};

}  // namespace node_cudnn::simulation

// The toolkit's opaque types.
struct CUstream_st {
  std::deque<node_cudnn::simulation::Work> queue;
  node_cudnn::simulation::Recorded recording;  // while a capture runs
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  bool spoilt = false;  // by a call that a capture does not allow
};
struct CUgraph_st {
  node_cudnn::simulation::Recorded work;
  node_cudnn::simulation::Counted counted = {};
};
struct CUgraphExec_st {
  node_cudnn::simulation::Recorded work;
  node_cudnn::simulation::Counted counted = {};
};
struct CUevent_st {
  unsigned flags = 0;
  cudaStream_t stream = nullptr;  // where it was recorded last
  bool captured = false;          // it is a place in a graph, and says nothing to whoever asks from outside
  uint64_t recorded = 0, reached = 0;
  double milliseconds = 0;  // when it was reached
  node_cudnn::simulation::Counted counted = {};
};

namespace node_cudnn::simulation {

cudaStream_t make_stream();
bool destroy_stream(cudaStream_t stream);
bool is_stream(cudaStream_t stream);
size_t stream_count();

void enqueue(cudaStream_t stream, Work work);  // or records it
void drain(cudaStream_t stream);
void drain_until(cudaStream_t stream, const std::function<bool()>& done);  // and no further
void drain_all();
void drop_all();  // after an error that the device does not survive
// Marks captures that do not allow such a call as spoilt; true where there was one.
bool spoil_captures();

}  // namespace node_cudnn::simulation
