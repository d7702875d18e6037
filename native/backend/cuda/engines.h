// Which of a library's ways computes a node: the first that serves, or the fastest of several timed on this device.
// Measured choices are kept in a file, one per device, driver, library versions and mode; others never see them.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/cuda/libraries.h"
#include "backend/cuda/plan_files.h"

namespace node_cudnn::cuda {

// A problem as one line: the key of its choice.
std::string describe(const Convolution& convolution);
std::string describe(const Product& product);
std::string describe(const Normalization& normalization);
std::string describe(const Pooling& pooling);

// All that are precompiled; of those that compile at run time such as are among the first few of all, or, to `compile`,
// the first few of them wherever they stand.
std::vector<Candidate> worth_timing(const std::vector<Candidate>& candidates, bool compile);

class EngineCache {
 public:
  // `signature`: one line with all that a choice depends on but the problem. A file that cannot be read or written, or
  // belongs to another signature, only costs the measurement.
  EngineCache(const std::filesystem::path& folder, const std::string& signature);

  std::string find(const std::string& problem) const;  // a candidate's name, or empty
  void keep(const std::string& problem, const std::string& candidate);

 private:
  std::filesystem::path file_;
  std::map<std::string, std::string> choices_;
};

class Engines {
 public:
  // Equal problems share a plan: to build one may take a second.
  struct Choice {
    std::shared_ptr<Plan> plan;
    std::string name;
  };

  // A way that is not the library's own: tried beside its proposals, and taken where they do not serve.
  using Alternative = std::function<Choice()>;

  // What a plan of the library's lacks to be the whole node.
  using Completion = std::function<std::shared_ptr<Plan>(std::shared_ptr<Plan>)>;

  Engines(Cuda& cuda, const BackendOptions& options);
  bool measures() const { return measure_; }
  // Choices among other things than engines; they depend on how engines are chosen.
  std::string known(const std::string& problem) const { return cache_.find(problem + mode()); }
  void keep(const std::string& problem, const std::string& choice) { cache_.keep(problem + mode(), choice); }
  Choice choose(const Convolution& convolution, const Alternative& alternative = {}) {
    return choose_for(convolution, alternative);
  }
  Choice choose(const Product& product) { return choose_for(product, {}); }
  // The plan to be taken in the place of a kernel of ours; none where that stays.
  Choice instead_of(Plan& own, const Normalization& normalization, const Completion& complete) {
    return instead_for(own, normalization, complete);
  }
  Choice instead_of(Plan& own, const Pooling& pooling, const Completion& complete) {
    return instead_for(own, pooling, complete);
  }

 private:
  std::string mode() const;
  template <class Problem>
  std::shared_ptr<Plan> build(const Problem& problem, Candidate candidate);
  template <class Problem>
  Choice instead_for(Plan& own, const Problem& problem, const Completion& complete);
  template <class Problem>
  Choice library_plan_for(Plan& own, const Problem& problem, const Completion& complete);
  template <class Problem>
  Choice choose_for(const Problem& problem, const Alternative& alternative);
  template <class Problem>
  Choice kept_or_measured(const std::string& key, const Problem& problem, const Alternative& alternative);
  template <class Problem>
  Choice first(const Problem& problem, const std::vector<Candidate>& candidates, const Alternative& alternative);
  template <class Problem>
  Choice fastest(const std::string& key, const Problem& problem, const std::vector<Candidate>& candidates,
                 const Alternative& alternative);

  Cuda& cuda_;
  bool measure_;
  CompiledEngines compiled_;
  EngineCache cache_;
  PlanFiles plans_;
  std::map<std::string, Choice> made_;  // by problem
};

}  // namespace node_cudnn::cuda
