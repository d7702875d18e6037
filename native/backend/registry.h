// Which back ends there are, and how they are opened. The reference is part of the addon; the others are plug-in
// libraries beside it, opened when first asked for and never closed (OpenMP's threads outlive every handle).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/findings.h"

namespace node_cudnn {

struct BackendInfo {
  std::string name;
  bool available = false;
  std::string reason;  // why it is not available, with the cure
  std::string path;    // of the plug-in library
};

std::vector<BackendInfo> list_backends();

// 'cpu', 'reference', 'cuda', 'cuda:1'. Throws ERR_ARGUMENT for anything else.
BackendOptions parse_device_name(const std::string& name, int threads);

// What a device of this kind needs, and what of it was found; the first finding is the plug-in itself.
std::vector<Finding> examine(const BackendOptions& options);

// Throws ERR_DEVICE where the back end is not there; never opens another one instead.
std::unique_ptr<Backend> open_backend(const BackendOptions& options);

}  // namespace node_cudnn
