// bfloat16 as storage: the upper half of a float. Arithmetic is done in float or double.
#pragma once

#include <bit>
#include <cstdint>

namespace node_cudnn {

struct bfloat16 {
  uint16_t bits = 0;

  bfloat16() = default;
  explicit constexpr bfloat16(float value) : bits(round(value)) {}
  constexpr operator float() const { return std::bit_cast<float>(uint32_t{bits} << 16); }

 private:
  // To nearest, ties to even; a NaN stays a (quiet) NaN of the same sign.
  static constexpr uint16_t round(float value) {
    const auto u = std::bit_cast<uint32_t>(value);
    if ((u & 0x7FFFFFFF) > 0x7F800000) return static_cast<uint16_t>((u >> 16) | 0x40);
    return static_cast<uint16_t>((u + 0x7FFF + ((u >> 16) & 1)) >> 16);
  }
};

static_assert(sizeof(bfloat16) == 2);

}  // namespace node_cudnn
