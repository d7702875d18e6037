// Which pixels share a window, along one axis: what pooling and its gradients walk along.
#pragma once

#include <vector>

#include "backend/common/window.h"
#include "backend/cpu/simd/pool.h"

namespace node_cudnn::cpu {

using simd::Meeting;

// For every target position of one axis its meetings, in the order of the taps.
struct Meetings {
  std::vector<Meeting> list;
  std::vector<int64_t> first;  // per target position, and the end

  explicit Meetings(int64_t targets) : first(static_cast<size_t>(targets) + 1, 0) {}
  void close(int64_t target) { first[static_cast<size_t>(target) + 1] = static_cast<int64_t>(list.size()); }
  const Meeting* begin(int64_t target) const { return list.data() + first[static_cast<size_t>(target)]; }
  const Meeting* end(int64_t target) const { return list.data() + first[static_cast<size_t>(target) + 1]; }
  simd::Meetings view() const { return {list.data(), first.data()}; }
};

// Of every output the pixels of its window.
inline Meetings forward_meetings(const Axis& axis) {
  Meetings meetings(axis.out);
  for (int64_t o = 0; o < axis.out; ++o) {
    for (int64_t k = 0; k < axis.kernel; ++k)
      if (axis.inside(axis.position(o, k))) meetings.list.push_back({k, axis.position(o, k)});
    meetings.close(o);
  }
  return meetings;
}

// Of every input pixel the outputs whose windows hold it.
inline Meetings backward_meetings(const Axis& axis) {
  Meetings meetings(axis.in);
  for (int64_t i = 0; i < axis.in; ++i) {
    for (int64_t k = 0; k < axis.kernel; ++k) {
      const int64_t offset = i + axis.before - k * axis.dilation;
      if (offset >= 0 && offset % axis.stride == 0 && offset / axis.stride < axis.out)
        meetings.list.push_back({k, offset / axis.stride});
    }
    meetings.close(i);
  }
  return meetings;
}

}  // namespace node_cudnn::cpu
