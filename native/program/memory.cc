#include "program/memory.h"

#include <cstdio>
#include <new>

#include "program/error.h"

namespace node_cudnn {
namespace {

std::string megabytes(size_t bytes) {
  char text[64];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

}  // namespace

Memory::Memory(Backend& backend, MemoryCount& count, size_t bytes, const std::string& purpose)
    : backend_(backend), count_(count), bytes_(bytes) {
  if (bytes == 0) return;
  try {
    address_ = backend.allocate(bytes);
  } catch (const std::bad_alloc&) {
  }
  if (address_ == nullptr) {
    const size_t available = backend.available();
    const std::string has = available == SIZE_MAX ? "" : megabytes(available) + " are available, ";
    throw Error(ErrorCode::out_of_memory, purpose + " needs " + megabytes(bytes) +
                                              ", which the device does not have (" + has + megabytes(count.bytes()) +
                                              " are in use by this process); " +
                                              "take a smaller batch, or close programs that are no longer used");
  }
  count_.add(bytes_);
}

Memory::~Memory() {
  if (address_ == nullptr) return;
  backend_.release(address_);
  count_.remove(bytes_);
}

}  // namespace node_cudnn
