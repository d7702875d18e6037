// The addon's classes. Each holds its native object, which the device's thread owns, and asks for its release when it
// is closed or collected. The order in which they go does not matter.
#pragma once

#include <napi.h>

#include <memory>

#include "binding/arguments.h"
#include "binding/environment.h"
#include "program/program.h"
#include "program/state.h"

namespace node_cudnn {

Napi::Object describe(Napi::Env env, const Plan& plan);

class DeviceObject : public Napi::ObjectWrap<DeviceObject> {
 public:
  static Napi::Function define_class(Napi::Env env);
  static Napi::Value open(const Napi::CallbackInfo& call);
  static Napi::Value findings(const Napi::CallbackInfo& call);
  explicit DeviceObject(const Napi::CallbackInfo& call);

 private:
  Napi::Value create_state(const Napi::CallbackInfo& call);
  Napi::Value compile(const Napi::CallbackInfo& call);
  Napi::Value plan(const Napi::CallbackInfo& call);
  Napi::Value fastest(const Napi::CallbackInfo& call);
  Napi::Value memory(const Napi::CallbackInfo& call);
  Napi::Value close(const Napi::CallbackInfo& call);
  template <class Work>
  Napi::Value on_graph(const Napi::CallbackInfo& call, Work work);

  std::shared_ptr<Device> device_;
};

// What State and Program have in common: a resource of a device, until it is closed.
template <class Native>
class Handle {
 public:
  Handle() = default;
  Handle(std::shared_ptr<Device> device, std::shared_ptr<Native> native)
      : device_(std::move(device)), native_(std::move(native)) {}
  Handle(Handle&&) = default;
  Handle& operator=(Handle&& other) {
    std::swap(device_, other.device_);
    std::swap(native_, other.native_);
    return *this;
  }
  ~Handle() { close(); }

  const std::shared_ptr<Device>& device() const { return device_; }
  const std::shared_ptr<Native>& get(const char* what) const {
    if (!native_) throw Error(ErrorCode::closed, std::string("this ") + what + " is closed");
    return native_;
  }
  void close() noexcept {
    if (native_) {
      device_->try_post([device = device_.get(), native = native_.get()] { device->discard(native); });
    }
    native_.reset();
  }

 private:
  std::shared_ptr<Device> device_;
  std::shared_ptr<Native> native_;
};

class StateObject : public Napi::ObjectWrap<StateObject> {
 public:
  static Napi::Function define_class(Napi::Env env);
  static Napi::Object make(Napi::Env env, Handle<State> handle);
  static StateObject& from(Napi::Value value);  // throws for any other object
  explicit StateObject(const Napi::CallbackInfo& call);

  const Handle<State>& handle() const { return handle_; }

 private:
  Napi::Value read(const Napi::CallbackInfo& call);
  Napi::Value write(const Napi::CallbackInfo& call);
  Napi::Value close(const Napi::CallbackInfo& call);

  Handle<State> handle_;
};

class ProgramObject : public Napi::ObjectWrap<ProgramObject> {
 public:
  static Napi::Function define_class(Napi::Env env);
  static Napi::Object make(Napi::Env env, Handle<Program> handle);
  explicit ProgramObject(const Napi::CallbackInfo& call);

 private:
  struct Staging {
    std::vector<std::byte> bytes;
    std::vector<const std::byte*> inputs;  // into bytes
  };
  using Pool = std::vector<std::shared_ptr<Staging>>;  // touched by the JavaScript thread only

  Napi::Value run(const Napi::CallbackInfo& call);
  Napi::Value fetch(const Napi::CallbackInfo& call);
  Napi::Value profile(const Napi::CallbackInfo& call);
  Napi::Value close(const Napi::CallbackInfo& call);
  std::shared_ptr<Staging> stage(const Program& program, size_t steps, Napi::Value arrays);

  Handle<Program> handle_;
  std::shared_ptr<Pool> idle_ = std::make_shared<Pool>();  // so that a run in a steady state allocates nothing
};

}  // namespace node_cudnn
