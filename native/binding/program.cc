#include "program/program.h"

#include <cstring>

#include "binding/classes.h"

namespace node_cudnn {
namespace {

constexpr int64_t most_steps = int64_t{1} << 31;
constexpr size_t most_idle = most_in_flight + 1;  // one that is filled

std::vector<const Value*> inputs_of(const Graph& graph) {
  std::vector<const Value*> inputs;
  for (const Value& value : graph.values) {
    if (value.storage == Storage::input) inputs.push_back(&value);
  }
  return inputs;
}

// Reading an element may run code that detaches another array: all are read before any is copied.
std::vector<Napi::Value> read_arrays(Napi::Value value, const std::vector<const Value*>& inputs) {
  if (!value.IsArray()) throw Error(ErrorCode::argument, "inputs: expected an array, got " + show(value));
  auto list = value.As<Napi::Array>();
  if (list.Length() != inputs.size()) {
    std::string names;
    for (const Value* input : inputs) names += (names.empty() ? " ('" : ", '") + input->name + "'";
    throw Error(ErrorCode::argument, "inputs: expected " + std::to_string(inputs.size()) + " arrays" + names +
                                         (names.empty() ? "" : ")") + ", got " + std::to_string(list.Length()));
  }
  std::vector<Napi::Value> arrays;
  for (uint32_t i = 0; i < inputs.size(); ++i) arrays.push_back(list.Get(i));
  return arrays;
}

size_t fetchable_index(Napi::Value value, const Program& program) {
  const auto& values = program.graph().values;
  if (values.empty()) throw Error(ErrorCode::argument, "this program has no values");
  auto index = static_cast<size_t>(integer(value, "the value's index", 0, int64_t(values.size()) - 1));
  if (!values[index].keep && values[index].storage != Storage::variable) {
    throw Error(ErrorCode::argument, "value " + std::to_string(index) + " '" + values[index].name +
                                         "' is not kept after the step; compile the graph with keep for this value");
  }
  return index;
}

}  // namespace

Napi::Object describe(Napi::Env env, const Plan& plan) {
  auto number = [env](auto value) { return Napi::Number::New(env, static_cast<double>(value)); };
  auto node = [&](const Plan::PlannedNode& planned) {
    auto object = Napi::Object::New(env);
    object.Set("node", number(planned.node));
    object.Set("implementation", planned.implementation);
    object.Set("workspaceBytes", number(planned.workspace_bytes));
    return object;
  };
  auto object = Napi::Object::New(env);
  object.Set("nodes", to_array(env, plan.nodes, node));
  object.Set("offsets", to_array(env, plan.offsets, number));
  object.Set("bytes", to_array(env, plan.bytes, number));
  object.Set("wholes", to_array(env, plan.wholes, number));
  object.Set("arenaBytes", number(plan.arena_bytes));
  object.Set("lowerBoundBytes", number(plan.lower_bound_bytes));
  return object;
}

Napi::Function ProgramObject::define_class(Napi::Env env) {
  return DefineClass(
      env, "NativeProgram",
      {InstanceMethod<&ProgramObject::run>("run"), InstanceMethod<&ProgramObject::fetch>("fetch"),
       InstanceMethod<&ProgramObject::profile>("profile"), InstanceMethod<&ProgramObject::close>("close")});
}

ProgramObject::ProgramObject(const Napi::CallbackInfo& call) : ObjectWrap(call) {
  Environment::of(call.Env()).expect_constructing(call.Env());
}

Napi::Object ProgramObject::make(Napi::Env env, Handle<Program> handle) {
  Environment& environment = Environment::of(env);
  ProgramObject* made = environment.make<ProgramObject>(environment.program_class);
  made->handle_ = std::move(handle);
  Napi::Object self = made->Value();
  define(self, "plan", describe(env, made->handle_.get("program")->plan()));
  return self;
}

std::shared_ptr<ProgramObject::Staging> ProgramObject::stage(const Program& program, size_t steps, Napi::Value value) {
  auto inputs = inputs_of(program.graph());
  std::vector<Napi::Value> arrays = read_arrays(value, inputs);
  auto staging = std::make_shared<Staging>();
  if (!idle_->empty()) {
    staging = std::move(idle_->back());
    idle_->pop_back();
  }
  std::vector<const std::byte*> contents;
  size_t total = 0;
  staging->inputs.clear();
  for (size_t i = 0; i < inputs.size(); ++i) {
    contents.push_back(content(arrays[i], inputs[i]->type, steps, "input '" + inputs[i]->name + "'"));
    total += align(steps * host_bytes(inputs[i]->type));
  }
  if (staging->bytes.size() < total) staging->bytes.resize(total);
  std::byte* to = staging->bytes.data();
  for (size_t i = 0; i < inputs.size(); ++i) {
    size_t size = steps * host_bytes(inputs[i]->type);
    std::memcpy(to, contents[i], size);
    staging->inputs.push_back(to);
    to += align(size);
  }
  return staging;
}

Napi::Value ProgramObject::run(const Napi::CallbackInfo& call) {
  Napi::Env env = call.Env();
  return rejecting(env, [&] {
    std::shared_ptr<Program> program = handle_.get("program");
    auto steps = static_cast<size_t>(integer(call[0], "steps", 1, most_steps));
    std::shared_ptr<Staging> staging = stage(*program, steps, call[1]);
    auto start = [program, steps, staging] { return program->start(steps, staging->inputs); };
    auto answer = [staging, idle = idle_](Napi::Env env, const auto&) -> Napi::Value {
      if (idle->size() < most_idle) idle->push_back(staging);
      return env.Undefined();
    };
    return Environment::of(env).submit_step(handle_.device(), std::move(start), std::move(answer));
  });
}

Napi::Value ProgramObject::profile(const Napi::CallbackInfo& call) {
  Napi::Env env = call.Env();
  return rejecting(env, [&] {
    std::shared_ptr<Program> program = handle_.get("program");
    auto work = [program, staging = stage(*program, 1, call[0])]() -> Answer {
      return [seconds = program->profile(staging->inputs)](Napi::Env env, const auto&) -> Napi::Value {
        auto array = Napi::Float64Array::New(env, seconds.size());
        std::copy(seconds.begin(), seconds.end(), array.Data());
        return array;
      };
    };
    return Environment::of(env).submit(handle_.device(), std::move(work));
  });
}

Napi::Value ProgramObject::fetch(const Napi::CallbackInfo& call) {
  Napi::Env env = call.Env();
  return rejecting(env, [&] {
    std::shared_ptr<Program> program = handle_.get("program");
    size_t index = fetchable_index(call[0], *program);
    Landing landing = make_landing(env, program->graph().values[index].type);
    auto work = [program, index, data = landing.data]() -> Answer {
      program->fetch(index, data);
      return {};
    };
    return Environment::of(env).submit(handle_.device(), work, landing.array);
  });
}

Napi::Value ProgramObject::close(const Napi::CallbackInfo& call) {
  handle_.close();
  return call.Env().Undefined();
}

}  // namespace node_cudnn
