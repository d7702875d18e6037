// Division by a number that a launch knows, in 4 instructions; by one that is only known to the kernel it takes
// some 20.
#pragma once

#include <bit>
#include <cstdint>

namespace node_cudnn::cuda {

// Both below 2^31. The quotient is (dividend * factor / 2^32 + dividend) >> shift, where shift rounds the divisor up to
// a power of two and factor is what that adds (Granlund and Montgomery, "Division by Invariant Integers using
// Multiplication", 1994, figure 4.1).
class Divisor {
 public:
  constexpr explicit Divisor(int64_t divisor = 1)
      : divisor_(static_cast<unsigned>(divisor)),
        shift_(static_cast<unsigned>(std::bit_width(divisor_ - 1))),
        factor_(static_cast<unsigned>(((uint64_t{1} << shift_) - divisor_) * (uint64_t{1} << 32) / divisor_ + 1)) {}

  constexpr unsigned value() const { return divisor_; }
  constexpr unsigned quotient(unsigned dividend) const {
    return (static_cast<unsigned>((uint64_t{dividend} * factor_) >> 32) + dividend) >> shift_;
  }

 private:
  unsigned divisor_, shift_, factor_;
};

}  // namespace node_cudnn::cuda
