#include "backend/cuda/step.h"

#include "backend/cuda/libraries.h"

namespace node_cudnn::cuda {

namespace {

class Event {
 public:
  Event() { check(cudaEventCreate(&event_), "cudaEventCreate"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // While `stream` captures: every replay records it anew, for whoever asks from outside.
  void record(cudaStream_t stream) {
    check(cudaEventRecordWithFlags(event_, stream, cudaEventRecordExternal), "cudaEventRecordWithFlags");
  }
  double seconds_since(const Event& earlier) const {
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, earlier.event_, event_), "cudaEventElapsedTime");
    return milliseconds / 1000.0;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace

Replay::Replay(cudaStream_t stream, const std::function<void()>& launches) : stream_(stream) {
  cudaGraph_t graph = nullptr;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
  try {
    launches();
  } catch (...) {  // the stream leaves capture, whatever became of it
    if (cudaStreamEndCapture(stream, &graph) == cudaSuccess) cudaGraphDestroy(graph);
    cudaGetLastError();
    throw;
  }
  const cudaError_t ended = cudaStreamEndCapture(stream, &graph);
  if (ended == cudaErrorStreamCaptureInvalidated) {  // by a plan: nothing of ours does such a thing
    cudaGetLastError();
    throw LibraryError("it waits for the device, or does what else a graph cannot hold");
  }
  check(ended, "cudaStreamEndCapture");
  const cudaError_t status = cudaGraphInstantiate(&graph_, graph, 0);
  cudaGraphDestroy(graph);
  check(status, "cudaGraphInstantiate");
  const cudaError_t uploaded = cudaGraphUpload(graph_, stream);  // else the first replay does it
  if (uploaded != cudaSuccess) cudaGraphExecDestroy(graph_);
  check(uploaded, "cudaGraphUpload");
}

void Step::run() {
  if (!warm_) {
    launches_();
    warm_ = true;
    return;
  }
  if (!replay_) replay_ = std::make_unique<Replay>(stream_, launches_);
  replay_->run();
}

std::vector<double> time_on_device(cudaStream_t stream, const std::vector<std::function<void()>>& launches) {
  std::vector<std::unique_ptr<Event>> events;
  for (size_t i = 0; i <= launches.size(); ++i) events.push_back(std::make_unique<Event>());
  Replay replay(stream, [&] {
    for (size_t i = 0; i < launches.size(); ++i) {
      events[i]->record(stream);
      launches[i]();
    }
    events.back()->record(stream);
  });
  replay.run();
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  std::vector<double> seconds;
  for (size_t i = 0; i < launches.size(); ++i) seconds.push_back(events[i + 1]->seconds_since(*events[i]));
  return seconds;
}

}  // namespace node_cudnn::cuda
