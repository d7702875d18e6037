// What a plug-in may say of what its kind of device needs, before one is opened.
#pragma once

#include <string>
#include <vector>

#include "backend/backend.h"

namespace node_cudnn {

struct Finding {
  std::string what;   // "NVIDIA driver"
  std::string found;  // version and place, or why it does not serve, with the cure
  bool serves = false;
};

// A symbol that a plug-in exports beside the factory where there is something to look for.
constexpr const char* backend_findings_name = "node_cudnn_findings_v1";
using BackendFindings = std::vector<Finding> (*)(const BackendOptions&);

}  // namespace node_cudnn
