#include "image/pool.h"

namespace node_cudnn::image {

void Pool::grow(size_t threads) {
  while (threads_.size() < threads) threads_.emplace_back([this] { loop(); });
}

void Pool::submit(size_t count, std::function<void(size_t)> work, std::function<void()> done) {
  if (count == 0) return done();
  auto job = std::make_shared<Job>(Job{count, std::move(work), std::move(done)});
  std::lock_guard lock(mutex_);
  queue_.push_back(std::move(job));
  wake_.notify_all();
}

void Pool::abandon() noexcept {
  {
    std::lock_guard lock(mutex_);
    abandoned_ = true;
    wake_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  queue_.clear();
}

void Pool::loop() noexcept {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return !queue_.empty() || abandoned_; });
    if (abandoned_) return;
    const std::shared_ptr<Job> job = queue_.front();
    const size_t item = job->taken++;
    if (job->taken == job->count) queue_.pop_front();
    lock.unlock();
    job->work(item);
    lock.lock();
    const bool last = ++job->finished == job->count;
    if (!last || abandoned_) continue;
    lock.unlock();
    job->done();
    lock.lock();
  }
}

}  // namespace node_cudnn::image
