#include "program/state.h"

#include "binding/classes.h"

namespace node_cudnn {
namespace {

constexpr napi_type_tag tag = {0x6e6f64652d637564, 0x6e6e2d7374617465};

size_t variable_index(Napi::Value value, const State& state) {
  if (state.variables().empty()) throw Error(ErrorCode::argument, "this state has no variables");
  return static_cast<size_t>(integer(value, "the variable's index", 0, int64_t(state.variables().size()) - 1));
}

}  // namespace

Napi::Function StateObject::define_class(Napi::Env env) {
  return DefineClass(env, "NativeState",
                     {InstanceMethod<&StateObject::read>("read"), InstanceMethod<&StateObject::write>("write"),
                      InstanceMethod<&StateObject::close>("close")});
}

StateObject::StateObject(const Napi::CallbackInfo& call) : ObjectWrap(call) {
  Environment::of(call.Env()).expect_constructing(call.Env());
}

Napi::Object StateObject::make(Napi::Env env, Handle<State> handle) {
  Environment& environment = Environment::of(env);
  StateObject* made = environment.make<StateObject>(environment.state_class);
  made->handle_ = std::move(handle);
  Napi::Object self = made->Value();
  self.TypeTag(&tag);
  return self;
}

StateObject& StateObject::from(Napi::Value value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&tag)) {
    throw Error(ErrorCode::argument, "expected the state that createState() made, got " + show(value));
  }
  return *Unwrap(value.As<Napi::Object>());
}

Napi::Value StateObject::read(const Napi::CallbackInfo& call) {
  Napi::Env env = call.Env();
  return rejecting(env, [&] {
    std::shared_ptr<State> state = handle_.get("state");
    size_t index = variable_index(call[0], *state);
    Landing landing = make_landing(env, state->variables()[index].type);
    auto work = [state, index, data = landing.data]() -> Answer {
      state->read(index, data);
      return {};
    };
    return Environment::of(env).submit(handle_.device(), work, landing.array);
  });
}

Napi::Value StateObject::write(const Napi::CallbackInfo& call) {
  Napi::Env env = call.Env();
  return rejecting(env, [&] {
    std::shared_ptr<State> state = handle_.get("state");
    size_t index = variable_index(call[0], *state);
    const Variable& variable = state->variables()[index];
    const std::byte* data = content(call[1], variable.type, 1, "variable '" + variable.name + "'");
    auto bytes = std::make_shared<std::vector<std::byte>>(data, data + host_bytes(variable.type));
    return Environment::of(env).submit(handle_.device(), [state, index, bytes]() -> Answer {
      state->write(index, bytes->data());
      return {};
    });
  });
}

Napi::Value StateObject::close(const Napi::CallbackInfo& call) {
  handle_.close();
  return call.Env().Undefined();
}

}  // namespace node_cudnn
