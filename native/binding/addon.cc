#include <napi.h>

#include "backend/registry.h"
#include "binding/classes.h"
#include "binding/pictures.h"
#include "image/jpeg.h"

namespace node_cudnn {
namespace {

Napi::Value backends(const Napi::CallbackInfo& call) {
  Napi::Env env = call.Env();
  return throwing(env, [env] {
    return to_array(env, list_backends(), [env](const BackendInfo& info) {
      auto object = Napi::Object::New(env);
      object.Set("name", info.name);
      object.Set("available", info.available);
      if (!info.reason.empty()) object.Set("reason", info.reason);
      if (!info.path.empty()) object.Set("path", info.path);
      return object;
    });
  });
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  Environment::create(env);
  Environment& environment = Environment::of(env);
  environment.device_class = Napi::Persistent(DeviceObject::define_class(env));
  environment.state_class = Napi::Persistent(StateObject::define_class(env));
  environment.program_class = Napi::Persistent(ProgramObject::define_class(env));
  exports.Set("backends", Napi::Function::New<backends>(env, "backends"));
  exports.Set("findings", Napi::Function::New<DeviceObject::findings>(env, "findings"));
  exports.Set("openDevice", Napi::Function::New<DeviceObject::open>(env, "openDevice"));
  exports.Set("readsJpeg", Napi::Boolean::New(env, image::can_read_jpeg()));
  exports.Set("readPictures", Napi::Function::New<read_pictures>(env, "readPictures"));
  return exports;
}

}  // namespace

NODE_API_MODULE(node_cudnn, initialise)

}  // namespace node_cudnn
