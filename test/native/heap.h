// Counts what the calling thread asks of the heap through operator new.
#pragma once

#include <cstdint>

namespace node_cudnn::heap {

int64_t calls();

}  // namespace node_cudnn::heap
