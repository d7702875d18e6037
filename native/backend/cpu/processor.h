// What the machine offers to this process.
#pragma once

#include <cstddef>
#include <string>

#include "backend/cpu/cpu.h"

namespace node_cudnn::cpu {

Cpu detect_cpu(int threads);  // threads 0: one per physical core that this process may use
std::string processor_name();
size_t available_memory();  // bytes that can be had without swapping; SIZE_MAX where the system does not tell

}  // namespace node_cudnn::cpu
