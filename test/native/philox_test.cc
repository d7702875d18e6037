// Known answers of Random123 (kat_vectors, philox4x32 10 rounds).
#include "program/philox.h"

#include <gtest/gtest.h>

namespace node_cudnn {
namespace {

TEST(Philox, ZeroCounterAndKey) {
  const PhiloxCounter expected{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), expected);
}

TEST(Philox, AllOnes) {
  constexpr uint32_t ones = 0xffffffff;
  const PhiloxCounter expected{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
  EXPECT_EQ(philox4x32({ones, ones, ones, ones}, {ones, ones}), expected);
}

TEST(Philox, DigitsOfPi) {
  const PhiloxCounter counter{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344};
  const PhiloxCounter expected{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
  EXPECT_EQ(philox4x32(counter, {0xa4093822, 0x299f31d0}), expected);
}

TEST(Philox, BelowCoversItsRange) {
  EXPECT_EQ(philox_below(0, 9), 0);
  EXPECT_EQ(philox_below(0xffffffff, 9), 8);
  EXPECT_EQ(philox_below(0x80000000, 2), 1);
  EXPECT_EQ(philox_below(0x7fffffff, 2), 0);
}

}  // namespace
}  // namespace node_cudnn
