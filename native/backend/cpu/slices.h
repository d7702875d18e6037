// Values inside others (program/slices.h): their images lie further apart than they are long. Kernels number elements,
// planes and rows as if all operands lay without gaps, and are run image by image where one does not.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "backend/cpu/cpu.h"

namespace node_cudnn::cpu {

std::optional<size_t> offset_in(const Cpu& cpu, const ValueType& whole, const ValueType& part, int64_t first);
bool takes_slice(const Cpu& cpu, const Graph& graph, const Node& node, int value);

// Elements between the end of one image and the start of the next.
int64_t gap_of(const Graph& graph, int value);

class Gaps {
 public:
  Gaps(const Graph& graph, const Node& node);

  // Calls body(arguments, begin, end) for the parts of a range that lie in one image each, the last first, with
  // addresses to which its numbers apply. An image has `length` numbers.
  template <class Body>
  void for_each_image(const Arguments& a, int64_t begin, int64_t end, int64_t length, const Body& body) const {
    if (none_) return body(a, begin, end);
    for (int64_t image = (end - 1) / length; image >= begin / length; --image) {
      const Shifted shifted(*this, a, image);
      body(shifted.arguments(), std::max(begin, image * length), std::min(end, (image + 1) * length));
    }
  }

 private:
  static constexpr size_t most = 8;  // operands of a kernel that is run so

  struct Shifted {
    std::array<void*, most> inputs, outputs;
    void* workspace;
    Shifted(const Gaps& gaps, const Arguments& a, int64_t image);
    Arguments arguments() const { return {inputs.data(), outputs.data(), workspace}; }
  };

  std::vector<int64_t> inputs_, outputs_;  // bytes
  bool none_ = true;
};

}  // namespace node_cudnn::cpu
