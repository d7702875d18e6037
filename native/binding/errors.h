// Errors on their way to JavaScript. Every entry of the addon runs inside one of these guards, so no C++ exception
// reaches Node.js.
#pragma once

#include <napi.h>

#include <string>

#include "program/error.h"

namespace node_cudnn {

// The exception in flight, whatever it is.
Error current_error();

Napi::Error to_javascript(Napi::Env env, const Error& error);

// For entries that answer at once: the error is thrown.
template <class Work>
Napi::Value throwing(Napi::Env env, Work work) {
  try {
    return work();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw to_javascript(env, current_error());
  }
}

// For entries that answer with a promise: the error rejects it.
template <class Work>
Napi::Value rejecting(Napi::Env env, Work work) {
  auto reject = [env](Napi::Value reason) {
    auto deferred = Napi::Promise::Deferred::New(env);
    deferred.Reject(reason);
    return deferred.Promise();
  };
  try {
    return work();
  } catch (const Napi::Error& error) {
    return reject(error.Value());
  } catch (...) {
    return reject(to_javascript(env, current_error()).Value());
  }
}

}  // namespace node_cudnn
