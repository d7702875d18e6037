#include "binding/errors.h"

#include <new>

namespace node_cudnn {

Error current_error() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::out_of_memory, "out of memory");
  } catch (const std::exception& error) {
    return Error(ErrorCode::device, error.what());
  } catch (...) {
    return Error(ErrorCode::device, "unknown error");
  }
}

Napi::Error to_javascript(Napi::Env env, const Error& error) {
  auto result = Napi::Error::New(env, std::string("node-cudnn: ") + error.what());
  result.Set("code", Napi::String::New(env, name_of(error.code())));
  return result;
}

}  // namespace node_cudnn
