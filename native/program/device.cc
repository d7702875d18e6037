#include "program/device.h"

#include "program/error.h"

namespace node_cudnn {

Device::Device(std::string name) : name_(std::move(name)), thread_([this] { loop(); }) {}

Device::~Device() { abandon(); }

bool Device::try_post(Task task) noexcept {
  return push([this, task = std::move(task)] {
    settle();
    task();
  });
}

bool Device::try_post_step(Task task) noexcept { return push(std::move(task)); }

bool Device::push(Task task) noexcept {
  std::lock_guard lock(mutex_);
  if (closing_) return false;
  queue_.push_back(std::move(task));
  wake_.notify_one();
  return true;
}

void Device::post(Task task) {
  if (!try_post(std::move(task))) throw Error(ErrorCode::closed, "device '" + name_ + "' is closed; open it again");
}

void Device::close(Task closed) {
  {
    std::lock_guard lock(mutex_);
    if (!finished_) {
      closing_ = true;
      closed_.push_back(std::move(closed));
      wake_.notify_one();
      return;
    }
  }
  closed();
}

void Device::abandon() noexcept {
  {
    std::lock_guard lock(mutex_);
    abandoned_ = true;
    closing_ = true;
    closed_.clear();
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

Backend& Device::backend() {
  if (!backend_) throw Error(ErrorCode::closed, "device '" + name_ + "' is not open");
  return *backend_;
}

std::unique_ptr<Memory> Device::allocate(size_t bytes, const std::string& purpose) {
  return std::make_unique<Memory>(backend(), memory_, bytes, purpose);
}

void Device::keep(std::shared_ptr<Resource> resource) {
  Resource* key = resource.get();
  resources_.emplace(key, std::move(resource));
}

void Device::discard(Resource* resource) noexcept {
  auto found = resources_.find(resource);
  if (found == resources_.end()) return;
  found->second->release();
  resources_.erase(found);
}

void Device::leave(Task finish) { in_flight_.push_back(std::move(finish)); }

void Device::settle() noexcept {
  while (!in_flight_.empty()) finish_oldest();
}

void Device::finish_oldest() noexcept {
  in_flight_.front()();
  in_flight_.pop_front();
}

bool Device::is_idle() {
  std::lock_guard lock(mutex_);
  return queue_.empty();
}

// Empty when the thread shall end.
Device::Task Device::next() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return !queue_.empty() || closing_; });
  if (abandoned_ || queue_.empty()) return {};
  Task task = std::move(queue_.front());
  queue_.pop_front();
  return task;
}

void Device::loop() noexcept {
  while (Task task = next()) {
    task();
    while (in_flight_.size() == most_in_flight || (!in_flight_.empty() && is_idle())) finish_oldest();
  }
  settle();
  queue_.clear();
  for (auto& [key, resource] : resources_) resource->release();
  resources_.clear();
  backend_.reset();
  std::vector<Task> closed;
  {
    std::lock_guard lock(mutex_);
    finished_ = true;
    closed.swap(closed_);
  }
  for (Task& task : closed) task();
}

}  // namespace node_cudnn
