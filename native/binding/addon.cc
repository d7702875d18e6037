#include <napi.h>

#include "backend/registry.h"

namespace node_cudnn {
namespace {

Napi::Value backends(const Napi::CallbackInfo& call) {
  Napi::Env env = call.Env();
  auto infos = list_backends();
  auto list = Napi::Array::New(env, infos.size());
  for (uint32_t i = 0; i < infos.size(); ++i) {
    auto object = Napi::Object::New(env);
    object.Set("name", infos[i].name);
    object.Set("available", infos[i].available);
    if (!infos[i].reason.empty()) object.Set("reason", infos[i].reason);
    if (!infos[i].path.empty()) object.Set("path", infos[i].path);
    list.Set(i, object);
  }
  return list;
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  exports.Set("backends", Napi::Function::New<backends>(env, "backends"));
  return exports;
}

}  // namespace

NODE_API_MODULE(node_cudnn, initialise)

}  // namespace node_cudnn
