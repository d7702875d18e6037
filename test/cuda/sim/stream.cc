#include "stream.h"

#include <mutex>
#include <set>

#include "memory.h"

namespace node_cudnn::simulation {
namespace {

struct Streams {
  std::recursive_mutex mutex;
  std::set<cudaStream_t> all;
};

Streams& streams() {
  static Streams& one = *new Streams;
  return one;
}

}  // namespace

cudaStream_t make_stream() {
  const std::lock_guard lock(streams().mutex);
  return *streams().all.insert(new CUstream_st).first;
}

bool destroy_stream(cudaStream_t stream) {
  const std::lock_guard lock(streams().mutex);
  if (streams().all.erase(stream) == 0) return false;
  delete stream;
  return true;
}

bool is_stream(cudaStream_t stream) {
  const std::lock_guard lock(streams().mutex);
  return streams().all.count(stream) != 0;
}

size_t stream_count() {
  const std::lock_guard lock(streams().mutex);
  return streams().all.size();
}

void enqueue(cudaStream_t stream, Work work) {
  const std::lock_guard lock(streams().mutex);
  if (stream->recording)
    stream->recording->push_back(std::move(work));
  else
    stream->queue.push_back(std::move(work));
}

void drain(cudaStream_t stream) {
  drain_until(stream, [] { return false; });
}

void drain_until(cudaStream_t stream, const std::function<bool()>& done) {
  const std::lock_guard lock(streams().mutex);
  if (stream->queue.empty()) return;
  const DeviceAccess access;
  while (!stream->queue.empty() && !done()) {
    const Work work = std::move(stream->queue.front());
    stream->queue.pop_front();
    work();
  }
}

void drain_all() {
  const std::lock_guard lock(streams().mutex);
  for (cudaStream_t stream : streams().all) drain(stream);
}

void drop_all() {
  const std::lock_guard lock(streams().mutex);
  for (cudaStream_t stream : streams().all) stream->queue.clear();
}

bool spoil_captures() {
  const std::lock_guard lock(streams().mutex);
  bool any = false;
  for (cudaStream_t stream : streams().all)
    if (stream->recording && stream->mode != cudaStreamCaptureModeRelaxed) any = stream->spoilt = true;
  return any;
}

}  // namespace node_cudnn::simulation
