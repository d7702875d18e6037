#include "backend/registry.h"
#include "binding/classes.h"
#include "binding/decode.h"

namespace node_cudnn {
namespace {

constexpr int64_t most_threads = 4096;

int read_threads(Napi::Value value) {
  if (value.IsUndefined()) return 0;
  Napi::Value threads = object(value, "options").Get("threads");
  return threads.IsUndefined() ? 0 : static_cast<int>(integer(threads, "options.threads", 1, most_threads));
}

void read_flag(Napi::Object options, const char* name, bool& flag) {
  const Napi::Value value = options.Get(name);
  if (value.IsUndefined()) return;
  if (!value.IsBoolean()) {
    throw Error(ErrorCode::argument, std::string("options.") + name + ": expected true or false, got " + show(value));
  }
  flag = value.As<Napi::Boolean>();
}

void read_text(Napi::Object options, const char* name, std::string& target) {
  const Napi::Value value = options.Get(name);
  if (!value.IsUndefined()) target = text(value, std::string("options.") + name);
}

CompiledEngines read_compiled_engines(Napi::Object options, CompiledEngines otherwise) {
  const Napi::Value value = options.Get("compiledEngines");
  if (value.IsUndefined()) return otherwise;
  const std::string given = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (given == "never") return CompiledEngines::never;
  if (given == "timed") return CompiledEngines::timed;
  if (given == "always") return CompiledEngines::always;
  throw Error(ErrorCode::argument,
              "options.compiledEngines: expected 'never', 'timed' or 'always', got " + show(value));
}

BackendOptions read_options(Napi::Value name, Napi::Value value) {
  BackendOptions options = parse_device_name(text(name, "the device's name"), read_threads(value));
  if (value.IsUndefined()) return options;
  const Napi::Object given = object(value, "options");
  read_flag(given, "deterministic", options.deterministic);
  read_flag(given, "tf32", options.tf32);
  read_flag(given, "measureEngines", options.measure_engines);
  options.compiled_engines = read_compiled_engines(given, options.compiled_engines);
  read_text(given, "libraries", options.libraries);
  read_text(given, "engineCache", options.engine_cache);
  return options;
}

struct Opened {
  std::string description;
  std::vector<std::string> features;
  int threads;
};

}  // namespace

Napi::Function DeviceObject::define_class(Napi::Env env) {
  return DefineClass(
      env, "NativeDevice",
      {InstanceMethod<&DeviceObject::create_state>("createState"), InstanceMethod<&DeviceObject::compile>("compile"),
       InstanceMethod<&DeviceObject::plan>("plan"), InstanceMethod<&DeviceObject::fastest>("fastest"),
       InstanceMethod<&DeviceObject::memory>("memory"), InstanceMethod<&DeviceObject::close>("close")});
}

DeviceObject::DeviceObject(const Napi::CallbackInfo& call) : ObjectWrap(call) {
  Environment::of(call.Env()).expect_constructing(call.Env());
}

Napi::Value DeviceObject::open(const Napi::CallbackInfo& call) {
  Napi::Env env = call.Env();
  return rejecting(env, [&] {
    std::string name = text(call[0], "the device's name");
    BackendOptions options = read_options(call[0], call[1]);
    auto device = Environment::of(env).make_device(name);
    return Environment::of(env).submit(device, [device = device.get(), options]() -> Answer {
      device->open(open_backend, options);
      const Backend& backend = device->backend();
      Opened opened{backend.description(), backend.features(), backend.threads()};
      return [opened](Napi::Env env, const std::shared_ptr<Device>& device) -> Napi::Value {
        Environment& environment = Environment::of(env);
        DeviceObject* made = environment.make<DeviceObject>(environment.device_class);
        made->device_ = device;
        Napi::Object self = made->Value();
        auto string = [env](const std::string& text) { return Napi::String::New(env, text); };
        define(self, "name", string(device->name()));
        define(self, "description", string(opened.description));
        define(self, "features", to_array(env, opened.features, string));
        define(self, "threads", Napi::Number::New(env, opened.threads));
        return self;
      };
    });
  });
}

Napi::Value DeviceObject::findings(const Napi::CallbackInfo& call) {
  Napi::Env env = call.Env();
  return throwing(env, [&] {
    return to_array(env, examine(read_options(call[0], call[1])), [env](const Finding& finding) {
      auto object = Napi::Object::New(env);
      object.Set("what", finding.what);
      object.Set("found", finding.found);
      object.Set("serves", finding.serves);
      return object;
    });
  });
}

Napi::Value DeviceObject::create_state(const Napi::CallbackInfo& call) {
  Napi::Env env = call.Env();
  return rejecting(env, [&] {
    std::vector<Variable> variables = decode_variables(call[0]);
    return Environment::of(env).submit(
        device_, [device = device_.get(), variables = std::move(variables)]() mutable -> Answer {
          auto state = State::create(*device, std::move(variables));
          return [state](Napi::Env env, const std::shared_ptr<Device>& device) -> Napi::Value {
            return StateObject::make(env, {device, state});
          };
        });
  });
}

Napi::Value DeviceObject::compile(const Napi::CallbackInfo& call) {
  return on_graph(call, [](Device& device, Graph graph, const State& state) -> Answer {
    auto program = Program::compile(device, std::move(graph), state);
    return [program](Napi::Env env, const std::shared_ptr<Device>& device) -> Napi::Value {
      return ProgramObject::make(env, {device, program});
    };
  });
}

Napi::Value DeviceObject::plan(const Napi::CallbackInfo& call) {
  return on_graph(call, [](Device& device, Graph graph, const State& state) -> Answer {
    auto plan = std::make_shared<Plan>(Program::plan(device, std::move(graph), state));
    const auto available = static_cast<double>(device.backend().available());
    return [plan, available](Napi::Env env, const std::shared_ptr<Device>&) -> Napi::Value {
      Napi::Object object = describe(env, *plan);
      object.Set("availableBytes", available);
      return object;
    };
  });
}

Napi::Value DeviceObject::fastest(const Napi::CallbackInfo& call) {
  Napi::Env env = call.Env();
  return rejecting(env, [&] {
    return Environment::of(env).submit(
        device_,
        [device = device_.get(), problem = text(call[0], "problem"), variables = decode_variables(call[1]),
         alternatives = decode_alternatives(call[2])]() mutable -> Answer {
          const std::string name = node_cudnn::fastest(*device, problem, variables, std::move(alternatives));
          return [name](Napi::Env env, const std::shared_ptr<Device>&) -> Napi::Value {
            return Napi::String::New(env, name);
          };
        });
  });
}

// Runs `work` on the device's thread, with the graph and the state that the call names.
template <class Work>
Napi::Value DeviceObject::on_graph(const Napi::CallbackInfo& call, Work work) {
  Napi::Env env = call.Env();
  return rejecting(env, [&] {
    Graph graph = decode_graph(call[0]);
    const Handle<State>& handle = StateObject::from(call[1]).handle();
    std::shared_ptr<State> state = handle.get("state");
    if (handle.device() != device_) {
      throw Error(ErrorCode::argument, "the state belongs to another device; create it on the one that compiles");
    }
    return Environment::of(env).submit(
        device_, [device = device_.get(), graph = std::move(graph), state, work]() mutable -> Answer {
          return work(*device, std::move(graph), *state);
        });
  });
}

Napi::Value DeviceObject::memory(const Napi::CallbackInfo& call) {
  Napi::Env env = call.Env();
  auto result = Napi::Object::New(env);
  result.Set("bytes", static_cast<double>(device_->memory().bytes()));
  result.Set("peakBytes", static_cast<double>(device_->memory().peak()));
  return result;
}

Napi::Value DeviceObject::close(const Napi::CallbackInfo& call) {
  return rejecting(call.Env(), [&] { return Environment::of(call.Env()).close(device_); });
}

}  // namespace node_cudnn
