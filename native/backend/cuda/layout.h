// Host data (dense, logical order, float32 for the half types) into the order and type of the device, and back.
#pragma once

#include <cstddef>
#include <vector>

#include "backend/backend.h"

namespace node_cudnn::cuda {

bool is_stored_as_given(const ValueType& type);  // then neither of these is needed
std::vector<std::byte> to_device_layout(const ValueType& type, const void* host);
void to_host_layout(const ValueType& type, const void* stored, void* host);

}  // namespace node_cudnn::cuda
