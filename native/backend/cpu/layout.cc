#include <stdexcept>

#include "backend/cpu/cpu.h"

namespace node_cudnn::cpu {

Layout activation_layout(const Cpu& cpu, const Shape& shape) {
  if (shape.size() != 4) throw std::invalid_argument("an activation has 4 dimensions, not " + to_string(shape));
  const int64_t block = shape[1] % cpu.block == 0 ? cpu.block : 1;
  return {shape[0], shape[1], shape[2], shape[3], block};
}

}  // namespace node_cudnn::cpu
