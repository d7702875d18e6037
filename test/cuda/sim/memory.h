// Memory of the simulated device: host memory that only work of the device may touch. Between two pieces of work its
// pages are locked, so a host that dereferences a device pointer crashes on the spot.
#pragma once

#include <cstddef>

namespace node_cudnn::simulation {

void* allocate_device(size_t bytes);  // undefined content: NaN; nullptr beyond the device's size
bool release_device(void* address);   // false where it is none
bool is_device(const void* address, size_t bytes);
void* allocate_pinned(size_t bytes);
bool release_pinned(void* address);
bool is_pinned(const void* address, size_t bytes);

size_t device_bytes();  // in all
size_t free_bytes();
size_t device_blocks();  // that were not released yet
size_t pinned_blocks();
void set_device_bytes(size_t bytes);

// While one lives, the device's memory is open.
class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;
};

}  // namespace node_cudnn::simulation
