#include "backend/reference/update.h"

namespace node_cudnn::reference {

Update update_of(const Op& op, size_t scalars, const std::vector<std::string>& states) {
  Update u{};
  u.scaled = op.flag("scaled");
  u.first_gradient = scalars + (u.scaled ? 1 : 0);
  op.expect(op.inputs() > u.first_gradient, "needs a learning rate and at least one gradient");
  u.n = op.inputs() - u.first_gradient;
  op.expect_counts(op.inputs(), u.n * (1 + states.size()));
  u.dtype = op.input(0).dtype;
  op.expect_type("learning_rate", op.input(0), u.dtype, {1});
  if (u.scaled) op.expect_type("scale", op.input(scalars), u.dtype, {1});
  for (size_t i = 0; i < u.n; ++i) {
    const ValueType& weight = op.output(i);
    const std::string index = " " + std::to_string(i);
    op.expect_type("weight" + index, weight, u.dtype, weight.shape);
    op.expect_equal("gradient" + index, op.input(u.first_gradient + i), weight);
    for (size_t s = 0; s < states.size(); ++s) op.expect_equal(states[s] + index, op.output((1 + s) * u.n + i), weight);
    u.counts.push_back(elements(weight.shape));
  }
  return u;
}

}  // namespace node_cudnn::reference
