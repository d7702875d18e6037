// What the back end's own kernels share, beside what all back ends do: layouts and threads.
#pragma once

#include <omp.h>

#include <algorithm>
#include <string>
#include <vector>

#include "backend/common/kernel.h"
#include "backend/common/operands.h"
#include "backend/cpu/cpu.h"

namespace node_cudnn::cpu {

using node_cudnn::input;  // beside those of onednn.h
using node_cudnn::output;

Layout expect_activation(const Cpu& cpu, const char* role, const ValueType& type);

std::string simd_name(const Cpu& cpu);  // "simd:avx512"

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
