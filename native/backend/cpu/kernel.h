// What the back end's own kernels share: checks, threads, and a kernel made of a function.
#pragma once

#include <omp.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/cpu/cpu.h"

namespace node_cudnn::cpu {

// Second line of defence behind lib/ops. The caller of prepare adds the op, its path and all types.
void expect(bool holds, const std::string& what);
void expect_counts(const Node& node, size_t inputs, size_t outputs);
void expect_type(const char* role, const ValueType& type, const ValueType& expected);
void expect_float(const char* role, const ValueType& type);  // "F" of docs/ops.md
Layout expect_activation(const Cpu& cpu, const char* role, const ValueType& type);
int64_t expect_integer(const Node& node, const char* key, int64_t least);
double expect_number(const Node& node, const char* key, double least, double most);

inline ValueType plain(DType dtype, Shape shape) { return {dtype, Format::plain, std::move(shape)}; }

using InPlace = std::vector<std::pair<int, int>>;

template <class Run>
class FunctionKernel final : public Kernel {
 public:
  explicit FunctionKernel(Run run) : run_(std::move(run)) {}
  void run(const Arguments& arguments) override { run_(arguments); }

 private:
  Run run_;
};

template <class Run>
Prepared prepared(std::string implementation, Run run, size_t workspace_bytes = 0, InPlace in_place = {}) {
  return {std::make_unique<FunctionKernel<Run>>(std::move(run)), workspace_bytes, std::move(implementation),
          std::move(in_place)};
}

std::string simd_name(const Cpu& cpu);  // "simd:avx512"

template <class T>
const T* input(const Arguments& arguments, size_t i) {
  return static_cast<const T*>(arguments.inputs[i]);
}
template <class T>
T* output(const Arguments& arguments, size_t i) {
  return static_cast<T*>(arguments.outputs[i]);
}

// Calls body(begin, end) once per thread, each with its fixed share of 0 .. count. Work below `grain` stays on the
// calling thread. Teams of any size in between are avoided: changing the size costs more than it saves.
template <class Body>
void parallel(int threads, int64_t count, int64_t grain, const Body& body) {
  if (threads == 1 || count < 2 || count < grain) return body(int64_t{0}, count);
#pragma omp parallel num_threads(threads)
  {
    const int64_t team = omp_get_num_threads(), rank = omp_get_thread_num();
    const int64_t begin = count * rank / team, end = count * (rank + 1) / team;
    if (begin < end) body(begin, end);
  }
}

// The same in whole cache lines, for elementwise kernels.
template <class Body>
void parallel_elements(int threads, int64_t count, const Body& body) {
  constexpr int64_t line = 64, least = 8192;
  parallel(threads, (count + line - 1) / line, least / line,
           [&](int64_t begin, int64_t end) { body(begin * line, std::min(end * line, count)); });
}

// A stretch of one of several values: threads share them evenly, however different their sizes.
struct Stretch {
  size_t value;
  int64_t begin, end;
};
std::vector<Stretch> stretches(const std::vector<int64_t>& counts);

template <class Body>
void parallel_stretches(int threads, const std::vector<Stretch>& work, const Body& body) {
  parallel(threads, static_cast<int64_t>(work.size()), 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(static_cast<size_t>(i), work[static_cast<size_t>(i)]);
  });
}

}  // namespace node_cudnn::cpu
