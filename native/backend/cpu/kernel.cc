#include "backend/cpu/kernel.h"

namespace node_cudnn::cpu {

Layout expect_activation(const Cpu& cpu, const char* role, const ValueType& type) {
  expect_activation(role, type);
  return activation_layout(cpu, type.shape);
}

std::string simd_name(const Cpu& cpu) {
  return cpu.isa == Isa::avx512 ? "simd:avx512" : cpu.isa == Isa::avx2 ? "simd:avx2" : "simd:generic";
}

std::vector<Stretch> stretches(const std::vector<int64_t>& counts) {
  constexpr int64_t length = 4096;
  std::vector<Stretch> result;
  for (size_t i = 0; i < counts.size(); ++i)
    for (int64_t begin = 0; begin < counts[i]; begin += length)
      result.push_back({i, begin, std::min(begin + length, counts[i])});
  return result;
}

}  // namespace node_cudnn::cpu
