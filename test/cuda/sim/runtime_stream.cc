// The runtime's calls about streams, events and graphs.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "control.h"
#include "memory.h"
#include "stream.h"

using namespace node_cudnn::simulation;

namespace {

cudaError_t on(cudaStream_t stream, cudaError_t failure, const Call& body) {
  return call(failure, [&] { return is_stream(stream) ? body() : cudaErrorInvalidResourceHandle; });
}

void reach(cudaEvent_t event, uint64_t count) {
  if (event->reached < count) drain_until(event->stream, [&] { return event->reached >= count; });
}

// As far as somebody outside of graphs may know.
cudaError_t progress(cudaEvent_t event) {
  if (event->captured) return cudaErrorCapturedEvent;
  return event->reached < event->recorded ? cudaErrorNotReady : cudaSuccess;
}

// Whoever gives the last stream back must have given everything else back before.
void check_leaks() {
  if (stream_count() != 0) return;
  const size_t blocks = device_blocks(), pinned = pinned_blocks();
  const int handles = Counted::alive;
  if (blocks == 0 && pinned == 0 && handles == 0) return;
  std::fprintf(
      stderr,
      "simulated device: without any stream, but %zu blocks of its memory, %zu of pinned memory, and %d events "
      "and graphs were never released\n",
      blocks, pinned, handles);
  std::abort();
}

cudaError_t end_capture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!stream->recording) return cudaErrorIllegalState;
  const Recorded work = std::exchange(stream->recording, nullptr);
  *graph = nullptr;
  if (std::exchange(stream->spoilt, false)) return cudaErrorStreamCaptureInvalidated;
  *graph = new CUgraph_st{work};
  return cudaSuccess;
}

}  // namespace

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return call(cudaErrorUnknown, [&] {
    *stream = make_stream();
    return cudaSuccess;
  });
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const cudaError_t status = on(stream, cudaErrorUnknown, [&] { return run_device([&] { drain(stream); }); });
  destroy_stream(stream);
  check_leaks();
  return status;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return on(stream, cudaErrorIllegalAddress, [&] {
    note("synchronise", {stream});
    if (!stream->recording) return run_device([&] { drain(stream); });
    stream->spoilt = true;
    return cudaErrorStreamCaptureUnsupported;
  });
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return on(stream, cudaErrorIllegalAddress, [&] {
    if (!stream->recording) return stream->queue.empty() ? cudaSuccess : cudaErrorNotReady;
    stream->spoilt = true;
    return cudaErrorStreamCaptureUnsupported;
  });
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return on(stream, cudaErrorUnknown, [&] {
    note("wait", {event, stream});
    count_wait();
    enqueue(stream, [event, count = event->recorded] { reach(event, count); });
    return cudaSuccess;
  });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return on(stream, cudaErrorUnknown, [&] {
    if (stream->recording) return cudaErrorIllegalState;
    stream->recording = std::make_shared<std::vector<Work>>();
    stream->mode = mode;
    stream->spoilt = false;
    return cudaSuccess;
  });
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const cudaError_t status = on(stream, cudaErrorUnknown, [&] { return end_capture(stream, graph); });
  if (is_stream(stream)) stream->recording = nullptr;
  return status;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  return on(stream, cudaErrorUnknown, [&] {
    *status = !stream->recording ? cudaStreamCaptureStatusNone
              : stream->spoilt   ? cudaStreamCaptureStatusInvalidated
                                 : cudaStreamCaptureStatusActive;
    return cudaSuccess;
  });
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  return call(cudaErrorMemoryAllocation, [&] {
    *exec = new CUgraphExec_st{graph->work};
    return cudaSuccess;
  });
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t stream) {
  return on(stream, cudaErrorUnknown, [] { return cudaSuccess; });
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  return on(stream, cudaErrorLaunchOutOfResources, [&] {
    note("replay", {stream});
    enqueue(stream, [work = exec->work] {
      for (const Work& one : *work) one();
    });
    return cudaSuccess;
  });
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return call(cudaErrorUnknown, [] { return cudaSuccess; });
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return call(cudaErrorUnknown, [] { return cudaSuccess; });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return call(cudaErrorUnknown, [&] {
    *event = new CUevent_st{flags};
    return cudaSuccess;
  });
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const cudaError_t status = call(cudaErrorUnknown, [] { return run_device(drain_all); });
  delete event;
  return status;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return on(stream, cudaErrorUnknown, [&] {
    event->stream = stream;
    event->captured = stream->recording != nullptr;
    note("record", {event, stream});
    enqueue(stream, [event, count = ++event->recorded] {
      event->reached = count;
      event->milliseconds = milliseconds_now();
    });
    return cudaSuccess;
  });
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  const bool external = flags == cudaEventRecordExternal;
  if (external && is_stream(stream) && !stream->recording) return cudaErrorIllegalState;
  const cudaError_t status = cudaEventRecord(event, stream);
  if (external) event->captured = false;
  return status;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return call(cudaErrorUnknown, [&] { return progress(event); });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call(cudaErrorIllegalAddress, [&] {
    note("synchronise_event", {event});
    if (progress(event) != cudaErrorNotReady) return progress(event);
    hold();
    return run_device([&] { drain_until(event->stream, [&] { return event->reached == event->recorded; }); });
  });
}
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
  return call(cudaErrorUnknown, [&] {
    for (const cudaEvent_t event : {start, end}) {
      if ((event->flags & cudaEventDisableTiming) != 0 || event->recorded == 0) return cudaErrorInvalidResourceHandle;
      if (const cudaError_t status = progress(event); status != cudaSuccess) return status;
    }
    *ms = static_cast<float>(end->milliseconds - start->milliseconds);
    return cudaSuccess;
  });
}
