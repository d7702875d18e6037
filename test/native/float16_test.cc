#include "program/float16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace node_cudnn {
namespace {

float rounded(float value) { return static_cast<float>(float16(value)); }

float16 of_bits(uint16_t bits) {
  float16 half;
  half.bits = bits;
  return half;
}

TEST(Float16, EveryOneComesBackAsItWas) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float16 half = of_bits(static_cast<uint16_t>(bits));
    const float value = half;
    if (std::isnan(value)) {
      EXPECT_GT(bits & 0x7FFF, 0x7C00u);
      EXPECT_TRUE(std::isnan(rounded(value)));
    } else {
      EXPECT_EQ(float16(value).bits, half.bits);
    }
  }
}

TEST(Float16, HasTheValuesOfTheStandard) {
  EXPECT_EQ(static_cast<float>(of_bits(0x3C00)), 1.0F);
  EXPECT_EQ(static_cast<float>(of_bits(0xC000)), -2.0F);
  EXPECT_EQ(static_cast<float>(of_bits(0x7BFF)), 65504.0F);
  EXPECT_EQ(static_cast<float>(of_bits(0x0400)), 0x1p-14F);
  EXPECT_EQ(static_cast<float>(of_bits(0x8001)), -0x1p-24F);
  EXPECT_EQ(static_cast<float>(of_bits(0x7C00)), std::numeric_limits<float>::infinity());
}

// Eleven significant bits: between 1 and 2 the spacing is 1/1024.
TEST(Float16, RoundsToNearestEven) {
  EXPECT_EQ(rounded(1.0F + 1.0F / 2048), 1.0F);
  EXPECT_EQ(rounded(1.0F + 3.0F / 2048), 1.0F + 4.0F / 2048);
  EXPECT_EQ(rounded(1.0F + 1.01F / 2048), 1.0F + 2.0F / 2048);
  EXPECT_EQ(rounded(2.0F - 1.0F / 4096), 2.0F);
  EXPECT_EQ(rounded(0x1p-25F), 0.0F);
  EXPECT_EQ(rounded(0x3p-25F), 0x2p-24F);
  EXPECT_EQ(rounded(0x1.004p-25F), 0x1p-24F);
}

TEST(Float16, OverflowsToInfinityAndKeepsNaN) {
  using limits = std::numeric_limits<float>;
  EXPECT_EQ(rounded(65519.0F), 65504.0F);
  EXPECT_EQ(rounded(65520.0F), limits::infinity());
  EXPECT_EQ(rounded(-1e10F), -limits::infinity());
  EXPECT_TRUE(std::isnan(rounded(limits::quiet_NaN())));
  // A NaN whose payload lies in the lost bits must not become infinity.
  EXPECT_TRUE(std::isnan(rounded(std::bit_cast<float>(uint32_t{0x7F800001}))));
}

}  // namespace
}  // namespace node_cudnn
