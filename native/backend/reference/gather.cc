#include <cstring>
#include <stdexcept>

#include "backend/reference/ops.h"

namespace node_cudnn::reference {

Prepared prepare_gather(const Op& op) {
  op.expect_counts(2, 1);
  const ValueType &table = op.input(0), &index = op.input(1);
  op.expect(!table.shape.empty(), "table needs at least one axis");
  op.expect(index.shape.size() == 1, "index must have one axis");
  op.expect_type("index", index, DType::int32, index.shape);
  Shape gathered = table.shape;
  gathered[0] = index.shape[0];
  op.expect_type("y", op.output(0), table.dtype, gathered);
  const int64_t rows = table.shape[0], count = index.shape[0];
  const size_t row_bytes = static_cast<size_t>(elements(table.shape) / rows) * size_of(table.dtype);
  return prepared([=, name = op.name()](const Arguments& a) {
    for (int64_t b = 0; b < count; ++b) {
      const int64_t row = input<int32_t>(a, 1)[b];
      if (row < 0 || row >= rows)
        throw std::out_of_range(name + ": index[" + std::to_string(b) + "] is " + std::to_string(row) +
                                ", must lie in 0 .. " + std::to_string(rows - 1));
      std::memcpy(output<char>(a, 0) + static_cast<size_t>(b) * row_bytes,
                  input<char>(a, 0) + static_cast<size_t>(row) * row_bytes, row_bytes);
    }
  });
}

}  // namespace node_cudnn::reference
