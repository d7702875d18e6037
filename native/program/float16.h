// float16 as storage: IEEE 754 binary16. Arithmetic is done in float or double.
#pragma once

#include <bit>
#include <cstdint>

namespace node_cudnn {

struct float16 {
  uint16_t bits = 0;

  float16() = default;
  explicit constexpr float16(float value) : bits(round(value)) {}
  constexpr operator float() const {
    const uint32_t sign = uint32_t{bits} << 16 & 0x80000000, magnitude = bits & 0x7FFF;
    if (magnitude < 0x0400) {  // below 2^-14: steps of 2^-24
      const float value = static_cast<float>(magnitude) * 0x1p-24f;
      return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(value));
    }
    const uint32_t rebias = magnitude < 0x7C00 ? (127 - 15) << 23 : (255 - 31) << 23;  // infinity and NaN stay so
    return std::bit_cast<float>(sign | ((magnitude << 13) + rebias));
  }

 private:
  // To nearest, ties to even; from 65520 on infinite; a NaN stays a (quiet) NaN of the same sign.
  static constexpr uint16_t round(float value) {
    const auto u = std::bit_cast<uint32_t>(value);
    const uint32_t sign = u >> 16 & 0x8000, magnitude = u & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return static_cast<uint16_t>(sign | 0x7E00);
    if (magnitude >= std::bit_cast<uint32_t>(65520.0f)) return static_cast<uint16_t>(sign | 0x7C00);
    if (magnitude < std::bit_cast<uint32_t>(0x1p-14f)) {  // beside 0.5 a float has steps of 2^-24 too
      const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
      return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0.5f)));
    }
    const uint32_t rounded = magnitude + 0x0FFF + (magnitude >> 13 & 1);
    return static_cast<uint16_t>(sign | ((rounded - ((127 - 15) << 23)) >> 13));
  }
};

static_assert(sizeof(float16) == 2);

}  // namespace node_cudnn
