#include "program/bfloat16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace node_cudnn {
namespace {

float rounded(float value) { return static_cast<float>(bfloat16(value)); }

TEST(Bfloat16, KeepsWhatFits) {
  for (const float value : {0.0F, -0.0F, 1.0F, -1.5F, 256.0F, 0.0078125F}) {
    EXPECT_EQ(rounded(value), value);
    EXPECT_EQ(std::signbit(rounded(value)), std::signbit(value));
  }
}

// Eight significant bits: between 1 and 2 the spacing is 1/128.
TEST(Bfloat16, RoundsToNearestEven) {
  EXPECT_EQ(rounded(1.0F + 1.0F / 256), 1.0F);
  EXPECT_EQ(rounded(1.0F + 3.0F / 256), 1.0F + 4.0F / 256);
  EXPECT_EQ(rounded(1.0F + 1.01F / 256), 1.0F + 2.0F / 256);
  EXPECT_EQ(rounded(257.0F), 256.0F);
  EXPECT_EQ(rounded(259.0F), 260.0F);
}

TEST(Bfloat16, OverflowsToInfinityAndKeepsNaN) {
  using limits = std::numeric_limits<float>;
  EXPECT_EQ(rounded(limits::max()), limits::infinity());
  EXPECT_EQ(rounded(-limits::infinity()), -limits::infinity());
  EXPECT_TRUE(std::isnan(rounded(limits::quiet_NaN())));
  // A NaN whose payload lies in the lost half must not become infinity.
  EXPECT_TRUE(std::isnan(rounded(std::bit_cast<float>(uint32_t{0x7F800001}))));
}

}  // namespace
}  // namespace node_cudnn
