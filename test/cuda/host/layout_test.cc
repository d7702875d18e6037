// Host data in the device's order and types, and back.
#include "backend/cuda/layout.h"

#include <gtest/gtest.h>

#include <numeric>

namespace node_cudnn::cuda {
namespace {

TEST(Layout, ChannelsOfActivationsAndFiltersLieInnermost) {
  const ValueType type{DType::float32, Format::activation, {2, 3, 1, 2}};
  std::vector<float> host(12);
  std::iota(host.begin(), host.end(), 0.0F);
  const auto stored = to_device_layout(type, host.data());
  const std::vector<float> expected = {0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11};
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), reinterpret_cast<const float*>(stored.data())));
  std::vector<float> back(12);
  to_host_layout(type, stored.data(), back.data());
  EXPECT_EQ(back, host);
}

TEST(Layout, HalfTypesCrossAsFloat32) {
  for (const DType dtype : {DType::float16, DType::bfloat16}) {
    const ValueType type{dtype, Format::plain, {3}};
    const std::vector<float> host = {1.5F, -2, 0.25F};
    EXPECT_FALSE(is_stored_as_given(type));
    const auto stored = to_device_layout(type, host.data());
    EXPECT_EQ(stored.size(), 6u);
    std::vector<float> back(3);
    to_host_layout(type, stored.data(), back.data());
    EXPECT_EQ(back, host);
  }
}

TEST(Layout, PixelsKeepTheirBytes) {
  const ValueType type{DType::uint8, Format::activation, {1, 2, 1, 2}};
  const std::vector<uint8_t> host = {1, 2, 3, 4};
  const auto stored = to_device_layout(type, host.data());
  EXPECT_EQ(std::to_integer<int>(stored[1]), 3);
}

TEST(Layout, WhatLiesTheSameWayNeedsNoCopy) {
  EXPECT_TRUE(is_stored_as_given({DType::float32, Format::plain, {2, 3}}));
  EXPECT_TRUE(is_stored_as_given({DType::int32, Format::plain, {4}}));
  EXPECT_TRUE(is_stored_as_given({DType::float32, Format::filter, {4, 3, 1, 1}}));
  EXPECT_TRUE(is_stored_as_given({DType::float32, Format::activation, {4, 1, 5, 5}}));
  EXPECT_FALSE(is_stored_as_given({DType::float32, Format::filter, {4, 3, 3, 3}}));
}

}  // namespace
}  // namespace node_cudnn::cuda
