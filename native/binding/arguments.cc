#include "binding/arguments.h"

#include <cmath>

namespace node_cudnn {
namespace {

[[noreturn]] void fail(const std::string& what, const std::string& expected, const std::string& got) {
  throw Error(ErrorCode::argument, what + ": expected " + expected + ", got " + got);
}

struct ArrayKind {
  napi_typedarray_type type;
  const char* name;
};

ArrayKind kind_of(DType dtype) {
  switch (host_dtype(dtype)) {
    case DType::float64:
      return {napi_float64_array, "Float64Array"};
    case DType::int32:
      return {napi_int32_array, "Int32Array"};
    case DType::uint8:
      return {napi_uint8_array, "Uint8Array"};
    default:
      return {napi_float32_array, "Float32Array"};
  }
}

const char* name_of_kind(napi_typedarray_type type) {
  const char* names[] = {"Int8Array",    "Uint8Array",    "Uint8ClampedArray", "Int16Array",
                         "Uint16Array",  "Int32Array",    "Uint32Array",       "Float32Array",
                         "Float64Array", "BigInt64Array", "BigUint64Array"};
  return static_cast<size_t>(type) < std::size(names) ? names[type] : "another typed array";
}

}  // namespace

std::string show(Napi::Value value) {
  if (value.IsUndefined()) return "undefined";
  if (value.IsNull()) return "null";
  if (value.IsNumber() || value.IsBoolean()) return value.ToString().Utf8Value();
  if (value.IsString()) return "'" + value.As<Napi::String>().Utf8Value().substr(0, 60) + "'";
  if (value.IsArray()) return "an array";
  if (value.IsTypedArray()) return name_of_kind(value.As<Napi::TypedArray>().TypedArrayType());
  if (value.IsFunction()) return "a function";
  return value.IsObject() ? "an object" : "a " + std::string(value.IsSymbol() ? "symbol" : "bigint");
}

int64_t integer(Napi::Value value, const std::string& what, int64_t least, int64_t most) {
  double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (std::trunc(number) == number && number >= static_cast<double>(least) && number <= static_cast<double>(most)) {
    return static_cast<int64_t>(number);
  }
  fail(what, "an integer from " + std::to_string(least) + " to " + std::to_string(most), show(value));
}

std::string text(Napi::Value value, const std::string& what) {
  if (!value.IsString()) fail(what, "a string", show(value));
  return value.As<Napi::String>().Utf8Value();
}

Napi::Object object(Napi::Value value, const std::string& what) {
  if (!value.IsObject() || value.IsFunction()) fail(what, "an object", show(value));
  return value.As<Napi::Object>();
}

const std::byte* content(Napi::Value array, const ValueType& type, size_t steps, const std::string& name) {
  ArrayKind kind = kind_of(type.dtype);
  size_t count = static_cast<size_t>(elements(type.shape));
  std::string expected = std::string("a ") + kind.name + " of " + std::to_string(count) + " elements";
  if (steps != 1) expected += " for each of " + std::to_string(steps) + " steps";
  expected += " (shape " + to_string(type.shape) + ")";
  if (!array.IsTypedArray()) fail(name, expected, show(array));
  napi_typedarray_type got;
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(array.Env(), array, &got, &length, &data, nullptr, nullptr) != napi_ok) {
    fail(name, expected, "an array that cannot be read");
  }
  if (got != kind.type || length % steps != 0 || length / steps != count) {
    std::string what = name_of_kind(got) + std::string(" of ") + std::to_string(length) + " elements";
    fail(name, expected, what + (length == 0 ? "; is its buffer detached or shrunk?" : ""));
  }
  return static_cast<const std::byte*>(data);
}

Landing make_landing(Napi::Env env, const ValueType& type) {
  auto buffer = Napi::ArrayBuffer::New(env, host_bytes(type));
  napi_value array = nullptr;
  size_t count = static_cast<size_t>(elements(type.shape));
  if (napi_create_typedarray(env, kind_of(type.dtype).type, count, buffer, 0, &array) != napi_ok) {
    throw Error(ErrorCode::out_of_memory, "no array of " + std::to_string(count) + " elements could be made");
  }
  return {Napi::Object(env, array), buffer.Data()};
}

void define(Napi::Object object, const char* name, Napi::Value value) {
  object.DefineProperty(Napi::PropertyDescriptor::Value(name, value, napi_enumerable));
}

}  // namespace node_cudnn
