// Where libraries are looked for, with fake folders.
#include "backend/cuda/libraries/loader.h"

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "program/error.h"

namespace node_cudnn::cuda {
namespace {

using std::filesystem::path;

class Loader : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/node-cudnn-loader-XXXXXX";
    root_ = std::filesystem::canonical(mkdtemp(name));
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  path make(const std::string& folder) {
    std::filesystem::create_directories(root_ / folder);
    return root_ / folder;
  }
  Surroundings surroundings(std::map<std::string, std::string> environment = {}, const path& option = {}) {
    return {option, make("checkout/build/Release"), {}, {}, [environment](const char* name) {
              const auto found = environment.find(name);
              return found == environment.end() ? std::string() : found->second;
            }};
  }

  path root_;
};

TEST_F(Loader, AnOptionIsTheOnlyPlace) {
  const path own = make("own"), set = make("root/lib");
  EXPECT_EQ(cudnn_folders(surroundings({{"CUDNN_ROOT", root_ / "root"}}, own)), std::vector<path>{own});
  EXPECT_EQ(cublas_folders(surroundings({{"CUDA_HOME", root_ / "root"}}, own)), std::vector<path>{own});
  EXPECT_TRUE(cudnn_folders(surroundings({}, root_ / "missing")).empty());
}

TEST_F(Loader, TheEnvironmentComesBeforeTheBuildAndTheWheels) {
  const path set = make("root/lib"), built = make("built");
  const path wheel = make("checkout/.deps/cuda/lib/python3.11/site-packages/nvidia/cudnn/lib");
  const path active = make("venv/lib/python3.12/site-packages/nvidia/cudnn/lib");
  Surroundings s = surroundings({{"CUDNN_ROOT", root_ / "root"}, {"VIRTUAL_ENV", root_ / "venv"}});
  s.built_cudnn = built;
  EXPECT_EQ(cudnn_folders(s), (std::vector<path>{set, built, wheel, active}));
}

TEST_F(Loader, FoldersThatAreNotThereAreLeftOut) {
  EXPECT_TRUE(cudnn_folders(surroundings({{"CUDNN_ROOT", root_ / "none"}, {"CONDA_PREFIX", root_ / "none"}})).empty());
}

TEST_F(Loader, AnErrorNamesEveryPathTriedAndTheCure) {
  const path own = make("own");
  std::ofstream(own / "libcudnn.so.9") << "not a library";
  try {
    open_cudnn(surroundings({}, own));
    FAIL() << "opened what is no library";
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.code(), ErrorCode::device);
    EXPECT_NE(message.find((own / "libcudnn.so.9").string()), std::string::npos) << message;
    EXPECT_NE(message.find("scripts/setup --cuda"), std::string::npos) << message;
  }
}

TEST_F(Loader, NvrtcMayBeMissing) {
  const path own = make("own");
  std::ofstream(own / ("libnvrtc.so." + std::to_string(CUDART_VERSION / 1000))) << "not a library";
  EXPECT_FALSE(open_nvrtc(surroundings({}, own)));
}

TEST(CudnnVersion, FromTheLeastAndTheBuiltOneOnWithinNine) {
  expect_cudnn_version(91100, 91100, "f");
  expect_cudnn_version(92801, 91100, "f");
  EXPECT_THROW(expect_cudnn_version(91002, 91100, "f"), Error);
  EXPECT_THROW(expect_cudnn_version(92000, 92800, "f"), Error);
  EXPECT_THROW(expect_cudnn_version(100000, 92800, "f"), Error);
  EXPECT_EQ(cudnn_version_text(91101), "9.11.1");
}

TEST(CudnnVersion, OfTheSameMajorVersionOfCudaAsTheBuild) {
  expect_cuda_of_cudnn(CUDART_VERSION / 1000 * 1000 + 90, "f");
  EXPECT_THROW(expect_cuda_of_cudnn(CUDART_VERSION / 1000 * 1000 - 10, "f"), Error);
}

}  // namespace
}  // namespace node_cudnn::cuda
