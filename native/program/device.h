// A device: a back end and the one thread that may call it. Other threads post tasks and never wait.
//
// A step may be in flight when its task returns: the next step starts beside it. It is finished when most_in_flight are
// in flight, when nothing else waits to be run, or before any other task.
//
// What holds device memory is a Resource. The device keeps every resource until it is discarded, and releases what is
// left when it closes; so memory is always freed on the device's thread, in whatever order the handles go.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "backend/backend.h"
#include "program/memory.h"

namespace node_cudnn {

class Resource {
 public:
  virtual ~Resource() = default;
  virtual void release() noexcept = 0;  // frees device memory and kernels; on the device's thread; may come twice
};

class Device {
 public:
  using Task = std::function<void()>;  // must not throw
  using Open = std::function<std::unique_ptr<Backend>(const BackendOptions&)>;

  explicit Device(std::string name);
  ~Device();  // abandons
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // From any thread.
  const std::string& name() const { return name_; }
  const MemoryCount& memory() const { return memory_; }
  void post(Task task);                    // throws ERR_CLOSED
  bool try_post(Task task) noexcept;       // false when closed
  bool try_post_step(Task task) noexcept;  // the same for a step, which may leave() its end to be waited for
  void close(Task closed);                 // takes no further task; `closed` runs when all are done and all is freed
  void abandon() noexcept;                 // drops what waits, stops a run at its next step, and joins
  bool abandoned() const { return abandoned_; }

  // From the device's thread.
  void open(const Open& open, const BackendOptions& options) { backend_ = open(options); }
  Backend& backend();
  std::unique_ptr<Memory> allocate(size_t bytes, const std::string& purpose);
  void keep(std::shared_ptr<Resource> resource);
  void discard(Resource* resource) noexcept;
  void leave(Task finish);  // by a step: `finish` waits for its end
  void settle() noexcept;   // finishes all that is in flight, the oldest first

 private:
  bool push(Task task) noexcept;
  void loop() noexcept;
  Task next();
  bool is_idle();
  void finish_oldest() noexcept;

  const std::string name_;
  std::unique_ptr<Backend> backend_;
  MemoryCount memory_;
  std::unordered_map<Resource*, std::shared_ptr<Resource>> resources_;
  std::deque<Task> in_flight_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> queue_;
  std::vector<Task> closed_;
  bool closing_ = false;
  bool finished_ = false;
  std::atomic<bool> abandoned_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace node_cudnn
