#include "backend/reference/ops.h"

namespace node_cudnn::reference {
namespace {

struct Subsampling {
  Dims4 x, y;
  int64_t stride_h, stride_w;
};

Subsampling make_subsampling(const Op& op, const ValueType& x, const ValueType& y) {
  op.expect_counts(1, 1);
  const Dims4 in = op.activation("x", x), out = op.activation("y", y);
  const auto stride = op.integers("stride", 2, 1);
  op.expect(out.c >= in.c, "y must have at least the channels of x");
  op.expect_type("y", y, x.dtype,
                 {in.n, out.c, (in.h + stride[0] - 1) / stride[0], (in.w + stride[1] - 1) / stride[1]});
  return {in, out, stride[0], stride[1]};
}

}  // namespace

Prepared prepare_subsample_pad(const Op& op) {
  const Subsampling g = make_subsampling(op, op.input(0), op.output(0));
  return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      const T* x = input<T>(a, 0);
      T* y = output<T>(a, 0);
      for (int64_t n = 0; n < g.y.n; ++n)
        for (int64_t c = 0; c < g.y.c; ++c)
          for (int64_t i = 0; i < g.y.h; ++i)
            for (int64_t j = 0; j < g.y.w; ++j)
              y[g.y.at(n, c, i, j)] = c < g.x.c ? x[g.x.at(n, c, i * g.stride_h, j * g.stride_w)] : T(0);
    });
  });
}

Prepared prepare_subsample_pad_grad(const Op& op) {
  const Subsampling g = make_subsampling(op, op.output(0), op.input(0));
  return with_float(op, op.input(0).dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      const T* dy = input<T>(a, 0);
      T* dx = output<T>(a, 0);
      for (int64_t n = 0; n < g.x.n; ++n)
        for (int64_t c = 0; c < g.x.c; ++c)
          for (int64_t h = 0; h < g.x.h; ++h)
            for (int64_t w = 0; w < g.x.w; ++w) {
              const bool taken = h % g.stride_h == 0 && w % g.stride_w == 0;
              dx[g.x.at(n, c, h, w)] = taken ? dy[g.y.at(n, c, h / g.stride_h, w / g.stride_w)] : T(0);
            }
    });
  });
}

}  // namespace node_cudnn::reference
