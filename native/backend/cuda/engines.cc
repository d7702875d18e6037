#include "backend/cuda/engines.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <new>
#include <span>
#include <stdexcept>

#include "backend/cuda/stopwatch.h"
#include "program/error.h"

namespace node_cudnn::cuda {

namespace {

constexpr size_t workspace_limit = size_t{256} << 20;  // more is taken only where nothing else serves
constexpr size_t first_few = 3;                        // of all proposals: to compile one takes a second or more
constexpr int most_compiled = 4;                       // wherever they stand, where they were asked for
constexpr size_t most_compiled_beside_own = 2;         // where a kernel of ours does it as well
constexpr const char* own_kernel = "own kernel";       // as a choice that is kept

const char* name_of(Pass pass) { return pass == Pass::forward ? "forward" : pass == Pass::dgrad ? "dgrad" : "wgrad"; }

std::string numbers(std::span<const int64_t> values) {
  std::string text;
  for (const int64_t value : values) text += (text.empty() ? "" : ",") + std::to_string(value);
  return text;
}

size_t bytes_of(DType dtype, std::span<const int64_t> shape) {
  size_t bytes = size_of(dtype);
  for (const int64_t size : shape) bytes *= static_cast<size_t>(size);
  return bytes;
}

struct OperandBytes {
  std::vector<size_t> inputs, outputs;
  int pattern = small_number;  // that fills them
};

OperandBytes operand_bytes(Pass pass, DType dtype, DType result, std::span<const int64_t> x, std::span<const int64_t> w,
                           std::span<const int64_t> y, bool bias) {
  switch (pass) {
    case Pass::forward: {
      OperandBytes bytes{{bytes_of(dtype, x), bytes_of(dtype, w)}, {bytes_of(result, y)}};
      if (bias) bytes.inputs.push_back(bytes_of(dtype, w.first(1)));
      return bytes;
    }
    case Pass::dgrad:
      return {{bytes_of(dtype, y), bytes_of(dtype, w)}, {bytes_of(result, x)}};
    case Pass::wgrad:
      return {{bytes_of(dtype, x), bytes_of(dtype, y)}, {bytes_of(result, w)}};
  }
  throw std::invalid_argument("unknown pass");
}

OperandBytes operand_bytes(const Convolution& c) {
  OperandBytes bytes = operand_bytes(c.pass, c.dtype, c.result, c.x, c.w, c.y, c.bias);
  if (c.residual && !c.prologue) bytes.inputs.push_back(bytes.outputs[0]);
  if (c.residual && c.prologue) bytes.inputs.insert(bytes.inputs.begin() + 1, bytes.inputs[0]);
  if (c.prologue) bytes.inputs.insert(bytes.inputs.begin() + 1, 2, static_cast<size_t>(c.x[1]) * size_of(c.dtype));
  if (!c.statistics) return bytes;
  const size_t channels = static_cast<size_t>(c.pass == Pass::dgrad ? c.x[1] : c.w[0]) * sizeof(float);
  bytes.outputs.resize(3, channels);
  if (c.pass == Pass::dgrad) {
    bytes.inputs.push_back(bytes.outputs[0]);
    bytes.inputs.resize(7, channels);
  }
  if (c.residual) bytes.outputs.push_back(bytes.inputs[0]);
  return bytes;
}

OperandBytes operand_bytes(const Product& p) {
  const int64_t x[] = {p.n, p.in}, w[] = {p.out, p.in}, y[] = {p.n, p.out};
  return operand_bytes(p.pass, p.dtype, p.result, x, w, y, p.bias);
}

OperandBytes operand_bytes(const Normalization& n) {
  const size_t map = bytes_of(n.dtype, n.x), channels = static_cast<size_t>(n.x[1]) * sizeof(float);
  const size_t maps = (n.backward ? 2 : 1) + (n.residual ? 1 : 0), results = n.backward && n.residual ? 2 : 1;
  OperandBytes bytes{std::vector<size_t>(maps, map), std::vector<size_t>(results, map)};
  bytes.inputs.resize(maps + 4, channels);                         // or one fewer
  bytes.outputs.resize(results + (n.backward ? 2 : 4), channels);  // running statistics too
  return bytes;
}

OperandBytes operand_bytes(const Pooling& p) {
  const size_t x = bytes_of(p.dtype, p.x), y = bytes_of(p.dtype, p.y), index = bytes_of(DType::uint8, p.y);
  OperandBytes bytes = p.backward ? OperandBytes{{y}, {x}} : OperandBytes{{x}, {y}};
  bytes.pattern = 0;  // a place that every window has
  if (p.maximum) (p.backward ? bytes.inputs : bytes.outputs).push_back(index);
  return bytes;
}

// A plan that adds to the outputs behind its first.
class FromZero final : public Plan {
 public:
  FromZero(std::unique_ptr<Plan> plan, std::vector<size_t> bytes) : plan_(std::move(plan)), bytes_(std::move(bytes)) {}

  void run(cudaStream_t stream, const Arguments& a) override {
    for (size_t i = 1; i < bytes_.size(); ++i)
      check(cudaMemsetAsync(a.outputs[i], 0, bytes_[i], stream), "cudaMemsetAsync");
    plan_->run(stream, a);
  }
  size_t workspace_bytes() const override { return plan_->workspace_bytes(); }

 private:
  std::unique_ptr<Plan> plan_;
  std::vector<size_t> bytes_;  // of the outputs
};

// Infinity where the plan fails when it is run, or cannot be captured: then it does not serve.
float time_of(Stopwatch& stopwatch, Plan& plan, float least) {
  try {
    return stopwatch.milliseconds(plan, least);
  } catch (const LibraryError&) {
    return std::numeric_limits<float>::infinity();
  }
}

// What tells plans apart: the problem, and what a plan is given when it is run.
std::string identity(const Normalization& n) {
  return describe(n) + " epsilon " + std::to_string(std::bit_cast<uint32_t>(n.epsilon));
}
std::string identity(const Pooling& p) { return describe(p); }

std::filesystem::path user_cache() {
  if (const char* folder = std::getenv("XDG_CACHE_HOME"); folder != nullptr && *folder == '/')
    return std::filesystem::path(folder) / "node-cudnn";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return std::filesystem::path(home) / ".cache" / "node-cudnn";
  return {};
}

std::filesystem::path folder_of(const BackendOptions& options) {
  return options.engine_cache.empty() ? user_cache() : std::filesystem::path(options.engine_cache);
}

std::string signature(const Cuda& cuda) {
  int driver = 0;
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  return "engines 1; " + cuda.name + "; sm_" + std::to_string(cuda.compute_capability) + "; " +
         std::to_string(cuda.multiprocessors) + " multiprocessors; driver " + std::to_string(driver) + "; " +
         cuda.libraries->versions() + (cuda.deterministic ? "; deterministic" : "");
}

}  // namespace

std::string describe(const Convolution& c) {
  return std::string("conv2d ") + name_of(c.pass) + " " + name_of(c.dtype) + ">" + name_of(c.result) + " x " +
         numbers(c.x) + " w " + numbers(c.w) + " y " + numbers(c.y) + " stride " + numbers(c.stride) + " padding " +
         numbers(c.padding) + " dilation " + numbers(c.dilation) + " groups " + std::to_string(c.groups) +
         (c.bias ? " bias" : "") + (c.tf32 ? " tf32" : "") + (c.residual ? " residual" : "") + (c.relu ? " relu" : "") +
         (c.statistics ? " statistics" : "") + (c.prologue ? " prologue" : "");
}

std::string describe(const Product& p) {
  return std::string("linear ") + name_of(p.pass) + " " + name_of(p.dtype) + ">" + name_of(p.result) + " n " +
         std::to_string(p.n) + " in " + std::to_string(p.in) + " out " + std::to_string(p.out) +
         (p.bias ? " bias" : "") + (p.tf32 ? " tf32" : "");
}

std::string describe(const Normalization& n) {
  return std::string("batch_norm ") + (n.backward ? "backward " : "forward ") + name_of(n.dtype) + " x " +
         numbers(n.x) + (n.residual ? " residual" : "") + (n.relu ? " relu" : "");
}

std::string describe(const Pooling& p) {
  return std::string(p.maximum ? "max_pool2d " : "avg_pool2d ") + (p.backward ? "backward " : "forward ") +
         name_of(p.dtype) + " x " + numbers(p.x) + " y " + numbers(p.y) + " kernel " + numbers(p.kernel) + " stride " +
         numbers(p.stride) + " padding " + numbers(p.padding) + (p.count_padding ? " counted" : "");
}

std::vector<Candidate> worth_timing(const std::vector<Candidate>& candidates, bool compile) {
  int left = most_compiled;
  std::vector<Candidate> worth;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const bool serves = !candidates[i].compiles || (compile ? --left >= 0 : i < first_few);
    if (serves) worth.push_back(candidates[i]);
  }
  return worth;
}

EngineCache::EngineCache(const std::filesystem::path& folder, const std::string& signature) {
  if (folder.empty()) return;
  file_ = folder / ("engines-" + hash(signature) + ".txt");
  std::string line;
  std::ifstream file(file_);
  if (std::getline(file, line) && line == signature) {
    while (std::getline(file, line)) {
      const size_t tab = line.find('\t');
      // A line that another process is still writing has no end yet.
      if (tab != std::string::npos && !file.eof()) choices_[line.substr(0, tab)] = line.substr(tab + 1);
    }
    return;
  }
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::ofstream(file_, std::ios::trunc) << signature << '\n';
}

std::string EngineCache::find(const std::string& problem) const {
  const auto found = choices_.find(problem);
  return found == choices_.end() ? "" : found->second;
}

void EngineCache::keep(const std::string& problem, const std::string& candidate) {
  choices_[problem] = candidate;
  if (!file_.empty()) std::ofstream(file_, std::ios::app) << problem + '\t' + candidate + '\n';
}

Engines::Engines(Cuda& cuda, const BackendOptions& options)
    : cuda_(cuda),
      measure_(options.measure_engines && !options.deterministic),  // two measurements may choose differently
      compiled_(options.deterministic || (options.compiled_engines == CompiledEngines::timed && !measure_)
                    ? CompiledEngines::never
                    : options.compiled_engines),
      cache_(folder_of(options), signature(cuda)),
      plans_(folder_of(options), signature(cuda)) {}

std::string Engines::mode() const {
  const char* compiled = compiled_ == CompiledEngines::never   ? ""
                         : compiled_ == CompiledEngines::timed ? "; compiled engines timed"
                                                               : "; compiled engines always";
  return std::string(cuda_.tf32 ? "; tf32" : "") + compiled;
}

// From what was saved, where it was compiled before.
template <class Problem>
std::shared_ptr<Plan> Engines::build(const Problem& problem, Candidate candidate) {
  const std::string key = describe(problem) + '\t' + candidate.name;
  if (candidate.compiles) candidate.saved = plans_.find(key);
  auto plan = cuda_.libraries->build(problem, candidate);
  if (plan && candidate.compiles && candidate.saved.empty()) plans_.keep(key, plan->saved());
  if (!plan || !candidate.accumulates) return plan;
  return std::make_shared<FromZero>(std::move(plan), operand_bytes(problem).outputs);
}

template <class Problem>
Engines::Choice Engines::choose_for(const Problem& problem, const Alternative& alternative) {
  const std::string key = describe(problem) + (compiled_ == CompiledEngines::timed ? "; compiled engines timed" : "");
  if (const auto made = made_.find(key); made != made_.end()) return made->second;
  return made_[key] = kept_or_measured(key, problem, alternative);
}

template <class Problem>
Engines::Choice Engines::kept_or_measured(const std::string& key, const Problem& problem,
                                          const Alternative& alternative) {
  std::vector<Candidate> candidates = cuda_.libraries->candidates(problem);
  const std::vector<Candidate> worth = worth_timing(candidates, compiled_ == CompiledEngines::timed);
  if (compiled_ != CompiledEngines::timed)
    std::stable_partition(candidates.begin(), candidates.end(), std::not_fn(&Candidate::compiles));
  if (!measure_) return first(problem, candidates, alternative);
  const std::string known = cache_.find(key);
  for (const Candidate& candidate : candidates) {
    if (candidate.name != known) continue;
    if (auto plan = build(problem, candidate)) return {std::move(plan), known};
  }
  if (alternative && !known.empty()) {
    if (Choice choice = alternative(); choice.name == known) return choice;
  }
  if (Choice choice = fastest(key, problem, worth, alternative); choice.plan) return choice;
  return first(problem, candidates, alternative);
}

template <class Problem>
Engines::Choice Engines::first(const Problem& problem, const std::vector<Candidate>& candidates,
                               const Alternative& alternative) {
  Choice large;
  for (const Candidate& candidate : candidates) {
    auto plan = build(problem, candidate);
    if (plan && plan->workspace_bytes() <= workspace_limit) return {std::move(plan), candidate.name};
    if (plan && !large.plan) large = {std::move(plan), candidate.name};
  }
  if (large.plan) return large;
  if (alternative) return alternative();
  const std::string words = cuda_.libraries->refusal();
  throw std::runtime_error(cuda_.libraries->versions() + " has no engine for it among " +
                           std::to_string(candidates.size()) + " proposals (" + describe(problem) + ")" +
                           (words.empty() ? "" : ": " + words));
}

// None where all fail, or there is no memory to measure any.
template <class Problem>
Engines::Choice Engines::fastest(const std::string& key, const Problem& problem,
                                 const std::vector<Candidate>& candidates, const Alternative& alternative) {
  Choice best;
  try {
    const OperandBytes bytes = operand_bytes(problem);
    Stopwatch stopwatch(cuda_, bytes.inputs, bytes.outputs, bytes.pattern);
    float least = std::numeric_limits<float>::infinity();
    const auto consider = [&](Choice choice) {
      if (!choice.plan || choice.plan->workspace_bytes() > workspace_limit) return;
      const float time = time_of(stopwatch, *choice.plan, least);
      if (time >= least) return;
      least = time;
      best = std::move(choice);
    };
    for (const Candidate& candidate : candidates) consider({build(problem, candidate), candidate.name});
    if (alternative) consider(alternative());
    if (best.plan) cache_.keep(key, best.name);
  } catch (const std::bad_alloc&) {  // no room to measure: the best so far serves, and is not kept
  }
  return best;
}

template <class Problem>
Engines::Choice Engines::instead_for(Plan& own, const Problem& problem, const Completion& complete) {
  if (compiled_ == CompiledEngines::never) return {};
  const std::string key = identity(problem);
  if (!made_.contains(key)) made_[key] = library_plan_for(own, problem, complete);
  Choice choice = made_.at(key);
  if (choice.plan && complete) choice.plan = complete(choice.plan);
  return choice;
}

// Without what completes it.
template <class Problem>
Engines::Choice Engines::library_plan_for(Plan& own, const Problem& problem, const Completion& complete) {
  const bool timed = compiled_ == CompiledEngines::timed;
  const std::string key = describe(problem), known = timed ? cache_.find(key) : "";
  if (known == own_kernel) return {};
  const auto make = [&](const Candidate& candidate) -> Choice {
    auto plan = build(problem, candidate);
    if (!plan || plan->workspace_bytes() > workspace_limit) return {};
    return {std::move(plan), candidate.name};
  };
  std::vector<Candidate> candidates = cuda_.libraries->candidates(problem);
  for (const Candidate& candidate : candidates) {
    if (timed && candidate.name != known) continue;
    if (Choice choice = make(candidate); choice.plan) return choice;
  }
  if (!timed) return {};
  candidates.resize(std::min(candidates.size(), most_compiled_beside_own));
  Choice best{nullptr, own_kernel};
  try {
    const OperandBytes bytes = operand_bytes(problem);
    Stopwatch stopwatch(cuda_, bytes.inputs, bytes.outputs, bytes.pattern);
    float least = stopwatch.milliseconds(own);
    for (const Candidate& candidate : candidates) {
      Choice choice = make(candidate);
      if (!choice.plan) continue;
      const float time = time_of(stopwatch, *(complete ? complete(choice.plan) : choice.plan), least);
      if (time >= least) continue;
      least = time;
      best = std::move(choice);
    }
    cache_.keep(key, best.name);
  } catch (const std::bad_alloc&) {  // no room to measure: the best so far serves, and is not kept
  }
  return best;
}

template Engines::Choice Engines::choose_for(const Convolution&, const Alternative&);
template Engines::Choice Engines::choose_for(const Product&, const Alternative&);
template Engines::Choice Engines::instead_for(Plan&, const Normalization&, const Completion&);
template Engines::Choice Engines::instead_for(Plan&, const Pooling&, const Completion&);

}  // namespace node_cudnn::cuda
