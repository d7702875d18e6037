#include "backend/cuda/divisor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace node_cudnn::cuda {
namespace {

constexpr int64_t limit = int64_t{1} << 31;

std::vector<int64_t> divisors() {
  std::vector<int64_t> all;
  for (int64_t i = 1; i <= 1000; ++i) all.push_back(i);
  for (int bit = 10; bit < 31; ++bit)
    for (int64_t i = -2; i <= 2; ++i) all.push_back((int64_t{1} << bit) + i);
  for (int64_t i = 1; i <= 3; ++i) all.push_back(limit - i);
  return all;
}

// Quotients change at multiples: those at both ends of what is allowed, and some between.
TEST(Divisor, DividesAsTheProcessorDoes) {
  for (const int64_t divisor : divisors()) {
    const Divisor by(divisor);
    const int64_t most = (limit - 1) / divisor;
    for (const int64_t quotient : {int64_t{0}, int64_t{1}, int64_t{2}, most / 3, most / 2, most - 1, most}) {
      for (int64_t near = -1; near <= 1; ++near) {
        const int64_t dividend = std::clamp<int64_t>(quotient * divisor + near, 0, limit - 1);
        ASSERT_EQ(by.quotient(static_cast<unsigned>(dividend)), dividend / divisor) << dividend << " / " << divisor;
      }
    }
  }
}

}  // namespace
}  // namespace node_cudnn::cuda
