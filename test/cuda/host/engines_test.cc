// How a choice among engines is made, by libraries that are played.
#include "backend/cuda/engines.h"

#include <gtest/gtest.h>

#include "program/error.h"

namespace node_cudnn::cuda {
namespace {

class NoPlan final : public Plan {
 public:
  void run(cudaStream_t, const Arguments&) override {}
  size_t workspace_bytes() const override { return 0; }
  std::string saved() const override { return "compiled\nplan"; }
};

// Offers one way for everything, and counts how often a plan was built.
class CountingLibraries final : public Libraries {
 public:
  std::string versions() const override { return "counted"; }
  std::vector<Candidate> candidates(const Convolution&) override { return {{"way", false, nullptr}}; }
  std::vector<Candidate> candidates(const Normalization&) override { return {{"way", false, nullptr}}; }
  std::vector<Candidate> candidates(const Pooling&) override { return {{"way", false, nullptr}}; }
  std::vector<Candidate> candidates(const Product&) override { return {{"way", compiles, nullptr}}; }
  std::unique_ptr<Plan> build(const Convolution&, const Candidate&) override { return count(); }
  std::unique_ptr<Plan> build(const Normalization&, const Candidate&) override { return count(); }
  std::unique_ptr<Plan> build(const Pooling&, const Candidate&) override { return count(); }
  std::unique_ptr<Plan> build(const Product&, const Candidate& candidate) override {
    saved = candidate.saved;
    return count();
  }

  int built = 0;
  bool compiles = false;
  std::string saved;  // with the product that was built last

 private:
  std::unique_ptr<Plan> count() {
    ++built;
    return std::make_unique<NoPlan>();
  }
};

class EqualProblems : public testing::Test {
 protected:
  static BackendOptions options() {
    BackendOptions options;
    options.measure_engines = false;
    options.compiled_engines = CompiledEngines::always;
    options.engine_cache = "/proc/nowhere";
    return options;
  }
  CountingLibraries libraries_;
  Cuda cuda_ = [this] {
    Cuda cuda;
    cuda.libraries = &libraries_;
    return cuda;
  }();
  Engines engines_{cuda_, options()};
};

TEST_F(EqualProblems, ShareAPlan) {
  const Product product{Pass::forward, DType::float32, DType::float32, 2, 3, 4, false, false};
  Product other = product;
  other.n = 5;
  const auto plan = engines_.choose(product).plan;
  EXPECT_EQ(engines_.choose(product).plan, plan);
  EXPECT_NE(engines_.choose(other).plan, plan);
  EXPECT_EQ(libraries_.built, 2);
}

TEST_F(EqualProblems, ShareAPlanInThePlaceOfAKernelOfOursAndEachCompletesIt) {
  NoPlan own;
  int completed = 0;
  const auto complete = [&](std::shared_ptr<Plan> plan) {
    ++completed;
    return plan;
  };
  Normalization normalization{false, DType::float16, {2, 8, 4, 5}};
  const auto plan = engines_.instead_of(own, normalization, complete).plan;
  EXPECT_EQ(engines_.instead_of(own, normalization, complete).plan, plan);
  EXPECT_EQ(libraries_.built, 1);
  EXPECT_EQ(completed, 2);
  normalization.epsilon = 1e-7f;
  EXPECT_NE(engines_.instead_of(own, normalization, complete).plan, plan);
}

TEST(CompiledPlans, AreSavedForTheNextProcessOfTheSameKind) {
  char name[] = "/tmp/node-cudnn-plans-XXXXXX";
  BackendOptions options;
  options.measure_engines = false;
  options.engine_cache = mkdtemp(name);
  const Product product{Pass::forward, DType::float32, DType::float32, 2, 3, 4, false, false};
  CountingLibraries libraries;
  Cuda cuda;
  cuda.libraries = &libraries;
  const auto saved_in_new_process = [&] {
    Engines(cuda, options).choose(product);
    return libraries.saved;
  };
  EXPECT_EQ(saved_in_new_process(), "");
  EXPECT_EQ(saved_in_new_process(), "");  // precompiled ones are not worth it
  libraries.compiles = true;
  EXPECT_EQ(saved_in_new_process(), "");
  EXPECT_EQ(saved_in_new_process(), "compiled\nplan");
  cuda.name = "another device";
  EXPECT_EQ(saved_in_new_process(), "");
  std::filesystem::remove_all(name);
}

// Of the proposals `given`, R standing for one that compiles at run time, those that are timed, by their numbers.
std::string timed(const std::string& given, bool compile) {
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < given.size(); ++i) candidates.push_back({std::to_string(i), given[i] == 'R', nullptr});
  std::string names;
  for (const Candidate& candidate : worth_timing(candidates, compile)) names += candidate.name;
  return names;
}

TEST(WorthTiming, WhatCompilesIsTimedAmongTheFirstProposalsUnlessItIsAskedFor) {
  EXPECT_EQ(timed("ppppR", false), "0123");
  EXPECT_EQ(timed("ppRpR", false), "0123");
  EXPECT_EQ(timed("RRRRR", false), "012");
  EXPECT_EQ(timed("RRRRRp", true), "01235");
  EXPECT_EQ(timed("ppppR", true), "01234");
}

}  // namespace
}  // namespace node_cudnn::cuda
