#include "backend/registry.h"

#include <gtest/gtest.h>

#include "program/error.h"

namespace node_cudnn {
namespace {

TEST(Registry, ReadsDeviceNames) {
  EXPECT_EQ(parse_device_name("cpu", 3).kind, "cpu");
  EXPECT_EQ(parse_device_name("cpu", 3).threads, 3);
  EXPECT_EQ(parse_device_name("cuda", 0).ordinal, 0);
  EXPECT_EQ(parse_device_name("cuda:12", 0).ordinal, 12);
}

TEST(Registry, RefusesOtherNames) {
  for (const char* name : {"", ":", "gpu", "CPU", "cpu:0", "reference:1", "cuda:", "cuda:-1", "cuda:1x", "cuda: 1",
                           "cuda:99999999999", "cuda:0:1", "../cpu"}) {
    EXPECT_THROW(parse_device_name(name, 0), Error) << name;
  }
}

TEST(Registry, TheReferenceIsAlwaysThere) {
  auto infos = list_backends();
  ASSERT_EQ(infos.size(), 3u);
  EXPECT_EQ(infos[0].name, "reference");
  EXPECT_TRUE(infos[0].available);
  EXPECT_NE(open_backend(parse_device_name("reference", 0)), nullptr);
}

TEST(Registry, WhatIsNotThereSaysWhyAndIsNotReplaced) {
  for (const BackendInfo& info : list_backends()) {
    if (info.available) continue;
    EXPECT_FALSE(info.reason.empty());
    EXPECT_THROW(open_backend(parse_device_name(info.name, 0)), Error);
  }
}

}  // namespace
}  // namespace node_cudnn
