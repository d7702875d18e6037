// Threads that work through jobs of many like items; a job is begun when all items of the one before are taken.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace node_cudnn::image {

class Pool {
 public:
  Pool() = default;
  ~Pool() { abandon(); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // At least so many threads from now on.
  void grow(size_t threads);
  // Calls work(0) .. work(count - 1), each once, on any thread, then done() on the last one's; none may throw.
  void submit(size_t count, std::function<void(size_t)> work, std::function<void()> done);
  // Drops what waits, with its done(), and joins. Nothing may be submitted afterwards.
  void abandon() noexcept;

 private:
  struct Job {
    size_t count;
    std::function<void(size_t)> work;
    std::function<void()> done;
    size_t taken = 0;
    size_t finished = 0;
  };
  void loop() noexcept;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> queue_;
  bool abandoned_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace node_cudnn::image
