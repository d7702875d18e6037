#include "backend/cuda/layout.h"

#include <cuda_fp16.h>

#include "program/bfloat16.h"

namespace node_cudnn::cuda {

namespace {

// Of [outer, channels, inner], the channels of which the device keeps innermost.
struct Extents {
  int64_t outer = 1, channels = 1, inner = 1;
};

Extents extents(const ValueType& type) {
  if (type.format == Format::plain) return {elements(type.shape), 1, 1};
  return {type.shape[0], type.shape[1], elements(type.shape) / (type.shape[0] * type.shape[1])};
}

// Calls f(host index, device index) for every element, in the device's order.
template <class F>
void for_each_element(const ValueType& type, const F& f) {
  const auto [outer, channels, inner] = extents(type);
  int64_t stored = 0;
  for (int64_t n = 0; n < outer; ++n)
    for (int64_t i = 0; i < inner; ++i)
      for (int64_t c = 0; c < channels; ++c) f((n * channels + c) * inner + i, stored++);
}

template <class Host, class Stored>
void store(const ValueType& type, const void* host, void* stored) {
  for_each_element(type, [&](int64_t from, int64_t to) {
    static_cast<Stored*>(stored)[to] = static_cast<Stored>(static_cast<const Host*>(host)[from]);
  });
}

template <class Host, class Stored>
void load(const ValueType& type, const void* stored, void* host) {
  for_each_element(type, [&](int64_t to, int64_t from) {
    static_cast<Host*>(host)[to] = static_cast<Host>(static_cast<const Stored*>(stored)[from]);
  });
}

bool is_half(DType dtype) { return dtype == DType::float16 || dtype == DType::bfloat16; }

}  // namespace

bool is_stored_as_given(const ValueType& type) {
  const auto [outer, channels, inner] = extents(type);
  return !is_half(type.dtype) && (channels == 1 || inner == 1);
}

std::vector<std::byte> to_device_layout(const ValueType& type, const void* host) {
  std::vector<std::byte> stored(static_cast<size_t>(elements(type.shape)) * size_of(type.dtype));
  if (type.dtype == DType::bfloat16) {
    store<float, bfloat16>(type, host, stored.data());
  } else if (type.dtype == DType::float16) {
    store<float, __half>(type, host, stored.data());
  } else if (size_of(type.dtype) == 4) {
    store<uint32_t, uint32_t>(type, host, stored.data());
  } else {
    store<uint8_t, uint8_t>(type, host, stored.data());
  }
  return stored;
}

void to_host_layout(const ValueType& type, const void* stored, void* host) {
  if (type.dtype == DType::bfloat16) {
    load<float, bfloat16>(type, stored, host);
  } else if (type.dtype == DType::float16) {
    load<float, __half>(type, stored, host);
  } else if (size_of(type.dtype) == 4) {
    load<uint32_t, uint32_t>(type, stored, host);
  } else {
    load<uint8_t, uint8_t>(type, stored, host);
  }
}

}  // namespace node_cudnn::cuda
