// Reads what JavaScript passes, trusting nothing: every getter may run code, every array may be detached.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "binding/errors.h"
#include "program/state.h"

namespace node_cudnn {

std::string show(Napi::Value value);  // for messages: the type, and the value where it is short

// `what` names the argument in the error.
int64_t integer(Napi::Value value, const std::string& what, int64_t least, int64_t most);
std::string text(Napi::Value value, const std::string& what);
Napi::Object object(Napi::Value value, const std::string& what);

// The content of a typed array that must hold `steps` times the elements of `type`; valid until JavaScript runs again.
const std::byte* content(Napi::Value array, const ValueType& type, size_t steps, const std::string& name);

// A new typed array for a value's content, and where its elements lie. The device's thread may fill it as long as a
// reference keeps it alive.
struct Landing {
  Napi::Object array;
  void* data;
};
Landing make_landing(Napi::Env env, const ValueType& type);

// Own, enumerable, read-only.
void define(Napi::Object object, const char* name, Napi::Value value);

template <class T, class Convert>
Napi::Array to_array(Napi::Env env, const std::vector<T>& items, Convert convert) {
  auto array = Napi::Array::New(env, items.size());
  for (uint32_t i = 0; i < items.size(); ++i) array.Set(i, convert(items[i]));
  return array;
}

}  // namespace node_cudnn
