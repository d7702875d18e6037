#include "binding/environment.h"

#include <algorithm>

namespace node_cudnn {
namespace {

// What `work` gives, or its exception.
template <class Work>
Answer answer_of(const Work& work) {
  try {
    return work();
  } catch (...) {
    return [error = current_error()](Napi::Env, const auto&) -> Napi::Value { throw error; };
  }
}

}  // namespace

void Environment::create(Napi::Env env) {
  auto* environment = new Environment(env);
  env.SetInstanceData<Environment>(environment);
  // Hooks run last in, first out: this one joins the devices' threads before the mailbox's own hook closes it.
  env.AddCleanupHook([environment] { environment->stop(); });
}

Environment::Environment(Napi::Env env)
    : env_(env), mailbox_(Mailbox::New(env, "node-cudnn", /*maxQueueSize=*/0, /*initialThreadCount=*/1, this)) {
  mailbox_.Unref(env);
}

std::shared_ptr<Device> Environment::make_device(const std::string& name) {
  stop_at_exit();
  auto device = std::make_shared<Device>(name);
  std::erase_if(devices_, [](const std::weak_ptr<Device>& known) { return known.expired(); });
  devices_.push_back(device);
  return device;
}

// process.exit() and uncaught errors run no cleanup hooks, but destroy what oneDNN holds in static variables: the
// devices must have stopped by then. First in the list, since another listener may call process.exit() again.
void Environment::stop_at_exit() {
  if (stops_at_exit_) return;
  auto process = env_.Global().Get("process").ToObject();
  auto listener = Napi::Function::New(env_, [this](const Napi::CallbackInfo&) { stop(); });
  process.Get("prependListener").As<Napi::Function>().Call(process, {Napi::String::New(env_, "exit"), listener});
  stops_at_exit_ = true;
}

void Environment::stop() noexcept {
  for (const auto& known : devices_) {
    if (auto device = known.lock()) device->abandon();
  }
  picture_threads_.abandon();
}

void Environment::expect_constructing(Napi::Env env) const {
  if (constructing_) return;
  throw to_javascript(env, Error(ErrorCode::argument, "this class has no public constructor; use openDevice()"));
}

Napi::Promise Environment::wait(const std::shared_ptr<Device>& device, uint64_t& id, Napi::Object result) {
  auto deferred = Napi::Promise::Deferred::New(env_);
  auto reference = result.IsEmpty() ? Napi::ObjectReference() : Napi::Persistent(result);
  if (waiting_.empty()) mailbox_.Ref(env_);
  id = next_id_++;
  waiting_.emplace(id, Waiting{deferred, device, std::move(reference), {}});
  return deferred.Promise();
}

Environment::Waiting Environment::forget(uint64_t id) {
  Waiting waiting = std::move(waiting_.extract(id).mapped());
  if (waiting_.empty()) mailbox_.Unref(env_);
  return waiting;
}

Napi::Value Environment::submit(const std::shared_ptr<Device>& device, std::function<Answer()> work,
                                Napi::Object result) {
  uint64_t id = 0;
  Napi::Promise promise = wait(device, id, result);
  const bool posted = device->try_post([this, id, work = std::move(work)] { send(id, answer_of(work)); });
  return promised(posted, id, promise, *device);
}

Napi::Value Environment::submit_step(const std::shared_ptr<Device>& device, std::function<Wait()> start,
                                     Answer answer) {
  uint64_t id = 0;
  Napi::Promise promise = wait(device, id);
  const bool posted = device->try_post_step([this, id, device = device.get(), start = std::move(start), answer] {
    Wait end;
    Answer started = answer_of([&] {
      end = start();
      return answer;
    });
    auto finish = [this, id, end, started] {
      send(id, answer_of([&] {
             if (end) end();
             return started;
           }));
    };
    if (end) return device->leave(finish);
    device->settle();  // promises are settled in the order of the steps
    finish();
  });
  return promised(posted, id, promise, *device);
}

Napi::Value Environment::promised(bool posted, uint64_t id, Napi::Promise promise, const Device& device) {
  if (!posted) {
    Error error(ErrorCode::closed, "device '" + device.name() + "' is closed; open it again");
    forget(id).deferred.Reject(to_javascript(env_, error).Value());
  }
  return promise;
}

Napi::Value Environment::close(const std::shared_ptr<Device>& device) {
  uint64_t id = 0;
  Napi::Promise promise = wait(device, id);
  device->close([this, id] { send(id, {}); });
  return promise;
}

image::Pool& Environment::picture_threads() {
  stop_at_exit();
  return picture_threads_;
}

Napi::Value Environment::submit_pictures(size_t count, std::function<void(size_t)> work, Napi::Object result,
                                         Finish finish) {
  uint64_t id = 0;
  Napi::Promise promise = wait({}, id, result);
  waiting_.at(id).finish = std::move(finish);
  picture_threads_.submit(count, std::move(work), [this, id] { send(id, {}); });
  return promise;
}

// From a device's thread, or a picture thread.
void Environment::send(uint64_t id, Answer answer) noexcept {
  auto* outcome = new Outcome{id, std::move(answer)};
  if (mailbox_.NonBlockingCall(outcome) != napi_ok) delete outcome;
}

void Environment::deliver(Napi::Env env, Napi::Function, Environment* environment, Outcome* outcome) {
  std::unique_ptr<Outcome> owned(outcome);
  if (env != nullptr) environment->settle(*owned);
}

void Environment::settle(const Outcome& outcome) {
  Waiting waiting = forget(outcome.id);
  try {
    Napi::Value otherwise = waiting.result.IsEmpty() ? env_.Undefined() : waiting.result.Value();
    if (waiting.finish) otherwise = waiting.finish(env_, waiting.result.Value());
    waiting.deferred.Resolve(outcome.answer ? outcome.answer(env_, waiting.device) : otherwise);
  } catch (const Napi::Error& error) {
    waiting.deferred.Reject(error.Value());
  } catch (...) {
    waiting.deferred.Reject(to_javascript(env_, current_error()).Value());
  }
}

}  // namespace node_cudnn
