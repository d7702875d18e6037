// Labels of a loss: the index of a class, or -1 for a row that counts nowhere. Others are an error, of whatever back
// end.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace node_cudnn {

inline std::string wrong_label(int64_t row, int64_t label, int64_t classes) {
  return "labels[" + std::to_string(row) + "] is " + std::to_string(label) + ", but there are " +
         std::to_string(classes) + " classes; give 0 .. " + std::to_string(classes - 1) +
         ", or -1 for a row that does not count";
}

inline void expect_labels(const int32_t* labels, int64_t rows, int64_t classes) {
  for (int64_t row = 0; row < rows; ++row)
    if (labels[row] < -1 || labels[row] >= classes) throw std::out_of_range(wrong_label(row, labels[row], classes));
}

}  // namespace node_cudnn
