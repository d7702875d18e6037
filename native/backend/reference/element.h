// Ops that compute every element from the elements in the same place.
#pragma once

#include "backend/reference/op.h"

namespace node_cudnn::reference {

// y = f(x), where x[i] is the element of input i; all values are of one type. The output may take any input's place.
template <class Function>
Prepared map_elements(const Op& op, size_t inputs, Function f) {
  constexpr size_t most = 4;
  op.expect_counts(inputs, 1);
  for (size_t i = 1; i < inputs; ++i) op.expect_equal("input " + std::to_string(i), op.input(i), op.input(0));
  op.expect_equal("y", op.output(0), op.input(0));
  InPlace in_place;
  for (size_t i = 0; i < inputs; ++i) in_place.emplace_back(0, static_cast<int>(i));
  const int64_t count = elements(op.input(0).shape);
  return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared(
        [=](const Arguments& a) {
          for (int64_t i = 0; i < count; ++i) {
            double x[most] = {};
            for (size_t k = 0; k < inputs; ++k) x[k] = double{input<T>(a, k)[i]};
            output<T>(a, 0)[i] = static_cast<T>(f(x));
          }
        },
        in_place);
  });
}

}  // namespace node_cudnn::reference
