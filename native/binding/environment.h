// What the addon keeps for each JavaScript environment (the main thread, a worker): its classes, the promises that
// wait, the devices and the picture threads, which are stopped before the environment goes, whichever way it goes.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "binding/errors.h"
#include "image/pool.h"
#include "program/device.h"

namespace node_cudnn {

// Makes the value of a promise, on the JavaScript thread; made by the device's thread, where nothing of Napi may be
// touched or destroyed. Where it is empty, the promise takes the object given to submit(), or undefined.
using Answer = std::function<Napi::Value(Napi::Env, const std::shared_ptr<Device>&)>;

// The same for what holds no device: kept, called and destroyed on the JavaScript thread.
using Finish = std::function<Napi::Value(Napi::Env, Napi::Object)>;

class Environment {
 public:
  static void create(Napi::Env env);
  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }
  explicit Environment(Napi::Env env);

  // Runs `work` on the device's thread; the promise takes its answer, or its exception. Keeps the process alive.
  Napi::Value submit(const std::shared_ptr<Device>& device, std::function<Answer()> work, Napi::Object result = {});
  // The same for a step, beside which the next one may start: the promise takes `answer` when what `start` gave has
  // waited for its end.
  Napi::Value submit_step(const std::shared_ptr<Device>& device, std::function<Wait()> start, Answer answer);
  Napi::Value close(const std::shared_ptr<Device>& device);
  // Runs work(0) .. work(count - 1), which must not throw, on the picture threads; the promise takes what `finish`
  // makes of `result`.
  Napi::Value submit_pictures(size_t count, std::function<void(size_t)> work, Napi::Object result, Finish finish);
  image::Pool& picture_threads();
  std::shared_ptr<Device> make_device(const std::string& name);

  // An object of one of the addon's classes; only here their constructors may run.
  template <class Class>
  Class* make(const Napi::FunctionReference& constructor) {
    struct Permit {
      explicit Permit(bool& flag) : flag(flag) { flag = true; }
      ~Permit() { flag = false; }
      bool& flag;
    } permit(constructing_);
    return Class::Unwrap(constructor.New({}));
  }
  void expect_constructing(Napi::Env env) const;

  Napi::FunctionReference device_class;
  Napi::FunctionReference state_class;
  Napi::FunctionReference program_class;

 private:
  struct Waiting {
    Napi::Promise::Deferred deferred;
    std::shared_ptr<Device> device;  // no device is destroyed on its own thread
    Napi::ObjectReference result;
    Finish finish;
  };
  struct Outcome {
    uint64_t id;
    Answer answer;
  };
  static void deliver(Napi::Env env, Napi::Function, Environment* environment, Outcome* outcome);
  using Mailbox = Napi::TypedThreadSafeFunction<Environment, Outcome, deliver>;

  Napi::Promise wait(const std::shared_ptr<Device>& device, uint64_t& id, Napi::Object result = {});
  Waiting forget(uint64_t id);
  Napi::Value promised(bool posted, uint64_t id, Napi::Promise promise, const Device& device);
  void send(uint64_t id, Answer answer) noexcept;
  void settle(const Outcome& outcome);
  void stop_at_exit();
  void stop() noexcept;

  Napi::Env env_;
  Mailbox mailbox_;
  bool constructing_ = false;
  bool stops_at_exit_ = false;
  uint64_t next_id_ = 0;
  std::unordered_map<uint64_t, Waiting> waiting_;
  std::vector<std::weak_ptr<Device>> devices_;
  image::Pool picture_threads_;
};

}  // namespace node_cudnn
