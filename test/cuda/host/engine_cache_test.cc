// Measured choices on disk: kept for equal signatures, invisible to others, and never a reason to fail.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "backend/cuda/engines.h"

namespace node_cudnn::cuda {
namespace {

using std::filesystem::path;

class Cache : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/node-cudnn-cache-XXXXXX";
    folder_ = mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  path only_file() const {
    path found;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) found = entry.path();
    return found;
  }

  path folder_;
};

TEST_F(Cache, KeepsChoicesForTheNextProcess) {
  EngineCache(folder_, "device a").keep("problem 1", "engine 7");
  EngineCache(folder_, "device a").keep("problem 2", "engine 8");
  const EngineCache later(folder_, "device a");
  EXPECT_EQ(later.find("problem 1"), "engine 7");
  EXPECT_EQ(later.find("problem 2"), "engine 8");
  EXPECT_EQ(later.find("problem 3"), "");
}

TEST_F(Cache, AnotherDeviceDriverOrVersionSeesNothing) {
  EngineCache(folder_, "device a; driver 1").keep("problem", "engine");
  EXPECT_EQ(EngineCache(folder_, "device a; driver 2").find("problem"), "");
  EXPECT_EQ(EngineCache(folder_, "device a; driver 1").find("problem"), "engine");
}

TEST_F(Cache, TheLastChoiceCounts) {
  EngineCache cache(folder_, "device");
  cache.keep("problem", "old");
  cache.keep("problem", "new");
  EXPECT_EQ(EngineCache(folder_, "device").find("problem"), "new");
}

TEST_F(Cache, ADamagedFileIsBegunAnew) {
  EngineCache(folder_, "device").keep("problem", "engine");
  std::ofstream(only_file()) << "something else\nproblem\tengine\n";
  EXPECT_EQ(EngineCache(folder_, "device").find("problem"), "");
  EngineCache(folder_, "device").keep("problem", "engine 2");
  EXPECT_EQ(EngineCache(folder_, "device").find("problem"), "engine 2");
}

TEST_F(Cache, ALineWithoutItsEndIsIgnored) {
  EngineCache(folder_, "device").keep("problem 1", "engine 1");
  std::ofstream(only_file(), std::ios::app) << "problem 2\tengi";
  const EngineCache cache(folder_, "device");
  EXPECT_EQ(cache.find("problem 1"), "engine 1");
  EXPECT_EQ(cache.find("problem 2"), "");
}

TEST(NoCache, AFolderThatCannotBeWrittenOnlyForgets) {
  EngineCache cache("/proc/nowhere", "device");
  cache.keep("problem", "engine");
  EXPECT_EQ(cache.find("problem"), "engine");
  EXPECT_EQ(EngineCache("/proc/nowhere", "device").find("problem"), "");
}

TEST(Problem, EveryPartOfAConvolutionIsInItsKey) {
  const Convolution base{Pass::forward, DType::float16, DType::float16, {2, 3, 4, 5}, {6, 3, 1, 1},
                         {2, 6, 4, 5},  {1, 1},         {1, 1},         {0, 0, 0, 0}, 1,
                         false,         false};
  std::vector<Convolution> others(15, base);
  others[0].pass = Pass::dgrad;
  others[1].dtype = DType::bfloat16;
  others[2].result = DType::float32;
  others[3].x[0] = 9;
  others[4].w[3] = 9;
  others[5].y[2] = 9;
  others[6].stride[1] = 9;
  others[7].padding[3] = 9;
  others[8].dilation[0] = 9;
  others[9].groups = 9;
  others[10].bias = true;
  others[11].residual = true;
  others[12].relu = true;
  others[13].statistics = true;
  others[14].prologue = true;
  for (const Convolution& other : others) EXPECT_NE(describe(other), describe(base));
}

TEST(Problem, EveryPartOfABatchNormIsInItsKeyButWhatAPlanIsGivenLater) {
  const Normalization base{false, DType::float16, {2, 8, 4, 5}};
  std::vector<Normalization> others(5, base);
  others[0].backward = true;
  others[1].dtype = DType::bfloat16;
  others[2].x[1] = 16;
  others[3].residual = true;
  others[4].relu = true;
  for (const Normalization& other : others) EXPECT_NE(describe(other), describe(base));
  Normalization same = base;
  same.epsilon = 1;
  EXPECT_EQ(describe(same), describe(base));
}

TEST(Problem, EveryPartOfAPoolingIsInItsKey) {
  const Pooling base{false, true, DType::float16, {2, 8, 4, 5}, {2, 8, 2, 2}, {2, 2}, {2, 2}, {0, 0, 0, 0}, false};
  std::vector<Pooling> others(9, base);
  others[0].backward = true;
  others[1].maximum = false;
  others[2].dtype = DType::bfloat16;
  others[3].x[3] = 4;
  others[4].y[2] = 3;
  others[5].kernel[0] = 3;
  others[6].stride[1] = 1;
  others[7].padding[3] = 1;
  others[8].count_padding = true;
  for (const Pooling& other : others) EXPECT_NE(describe(other), describe(base));
}

}  // namespace
}  // namespace node_cudnn::cuda
