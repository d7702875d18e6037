#include <algorithm>
#include <cmath>

#include "backend/reference/ops.h"

namespace node_cudnn::reference {
namespace {

enum class Tail { none, relu, add_relu, add_relu_mask };

bool adds(Tail tail) { return tail == Tail::add_relu || tail == Tail::add_relu_mask; }

// A channel's affine map: y = (x - mean) * invstd * weight + bias.
struct Affine {
  double mean, invstd, weight, bias;
  double normalise(double x) const { return (x - mean) * invstd; }
  double operator()(double x) const { return normalise(x) * weight + bias; }
};

double rectify(double value) { return value < 0 ? 0 : value; }  // a NaN stays

double variance_to_invstd(double variance, double epsilon) { return 1 / std::sqrt(variance + epsilon); }

// Calls f with the offset of every element of channel c.
template <class Function>
void for_channel(const Dims4& d, int64_t c, Function&& f) {
  for (int64_t n = 0; n < d.n; ++n) {
    const int64_t first = d.at(n, c, 0, 0);
    for (int64_t i = first; i < first + d.plane(); ++i) f(i);
  }
}

// Which byte of a mask [N, C / 8, H, W] has the element i of channel c, as its bit c % 8.
int64_t mask_byte(const Dims4& d, int64_t c, int64_t i) {
  const int64_t n = i / (d.c * d.plane()), pixel = i % d.plane();
  return (n * (d.c / 8) + c / 8) * d.plane() + pixel;
}

template <class T>
void keep_mask(const Dims4& d, const T* y, uint8_t* mask) {
  std::fill_n(mask, d.n * d.c / 8 * d.plane(), uint8_t{0});
  for (int64_t c = 0; c < d.c; ++c)
    for_channel(d, c, [&](int64_t i) {
      if (double{y[i]} > 0) mask[mask_byte(d, c, i)] |= static_cast<uint8_t>(1 << c % 8);
    });
}

struct Moments {
  double mean = 0, variance = 0;  // biased
};

template <class T>
Moments measured(const Dims4& d, int64_t c, const T* x) {
  Moments moments;
  const auto count = static_cast<double>(d.n * d.plane());
  for_channel(d, c, [&](int64_t i) { moments.mean += double{x[i]}; });
  moments.mean /= count;
  for_channel(d, c, [&](int64_t i) {
    const double deviation = double{x[i]} - moments.mean;
    moments.variance += deviation * deviation;
  });
  moments.variance /= count;
  return moments;
}

Moments from_sums(double sum, double square_sum, double count) {
  const double mean = sum / count;
  return {mean, std::max(square_sum / count - mean * mean, 0.0)};
}

template <class T>
void apply(const Dims4& d, int64_t c, const Affine& affine, Tail tail, const T* x, const T* residual, T* y) {
  for_channel(d, c, [&](int64_t i) {
    double value = affine(double{x[i]});
    if (residual) value += double{residual[i]};
    y[i] = static_cast<T>(tail == Tail::none ? value : rectify(value));
  });
}

struct Training {
  Dims4 dims;
  double epsilon, momentum;
  Tail tail;
};

template <class S>
struct Parameters {
  const S *weight, *bias;
  const S *sum, *square_sum;  // null where the statistics are to be measured
};

template <class S>
struct BatchStatistics {
  S *mean, *invstd, *running_mean, *running_var;
};

template <class T, class S = Statistic<T>>
void batch_norm(const Training& g, const T* x, const T* residual, const Parameters<S>& p, T* y,
                const BatchStatistics<S>& s) {
  const auto count = static_cast<double>(g.dims.n * g.dims.plane());
  const auto blend = [&](S& running, double batch) {
    running = static_cast<S>((1 - g.momentum) * double{running} + g.momentum * batch);
  };
  for (int64_t c = 0; c < g.dims.c; ++c) {
    const Moments moments =
        p.sum ? from_sums(double{p.sum[c]}, double{p.square_sum[c]}, count) : measured(g.dims, c, x);
    const double invstd = variance_to_invstd(moments.variance, g.epsilon);
    s.mean[c] = static_cast<S>(moments.mean);
    s.invstd[c] = static_cast<S>(invstd);
    blend(s.running_mean[c], moments.mean);
    blend(s.running_var[c], moments.variance * count / (count - 1));
    apply<T>(g.dims, c, {moments.mean, invstd, double{p.weight[c]}, double{p.bias[c]}}, g.tail, x, residual, y);
  }
}

struct ParameterSums {
  double dweight = 0, dbias = 0;
};

// `dy` gives the gradient that reaches the normalisation, the tail's mask applied.
template <class T, class Gradient>
ParameterSums parameter_sums(const Dims4& d, int64_t c, const Affine& affine, const T* x, Gradient dy) {
  ParameterSums sums;
  for_channel(d, c, [&](int64_t i) {
    sums.dweight += dy(i) * affine.normalise(double{x[i]});
    sums.dbias += dy(i);
  });
  return sums;
}

// `count` values per channel.
double input_gradient(const Affine& affine, const ParameterSums& sums, double count, double dy, double x) {
  const double centred = dy - sums.dbias / count - affine.normalise(x) * sums.dweight / count;
  return centred * affine.weight * affine.invstd;
}

template <class T, class S = Statistic<T>>
struct GradientValues {
  const T *dy, *x, *y;                     // y: of Tail::add_relu
  const uint8_t* mask;                     // of Tail::add_relu_mask
  const S *weight, *bias, *mean, *invstd;  // bias: of Tail::relu
  T *dx, *dresidual;                       // dresidual: where tail adds
  S *dweight, *dbias;
};

template <class T, class S = Statistic<T>>
void batch_norm_grad(const Dims4& d, Tail tail, const GradientValues<T>& v) {
  const auto count = static_cast<double>(d.n * d.plane());
  for (int64_t c = 0; c < d.c; ++c) {
    const Affine affine{double{v.mean[c]}, double{v.invstd[c]}, double{v.weight[c]}, v.bias ? double{v.bias[c]} : 0};
    const auto active = [&](int64_t i) {
      if (tail == Tail::relu) return affine(double{v.x[i]}) > 0;
      if (tail == Tail::add_relu) return double{v.y[i]} > 0;
      return tail == Tail::none || (v.mask[mask_byte(d, c, i)] >> c % 8 & 1) != 0;
    };
    const auto dy = [&](int64_t i) { return active(i) ? double{v.dy[i]} : 0; };
    const ParameterSums sums = parameter_sums(d, c, affine, v.x, dy);
    v.dweight[c] = static_cast<S>(sums.dweight);
    v.dbias[c] = static_cast<S>(sums.dbias);
    for_channel(d, c, [&](int64_t i) {
      const double gradient = dy(i);
      v.dx[i] = static_cast<T>(input_gradient(affine, sums, count, gradient, double{v.x[i]}));
      if (adds(tail)) v.dresidual[i] = static_cast<T>(gradient);
    });
  }
}

void expect_mask(const Op& op, const ValueType& type, const Dims4& d) {
  op.expect(d.c % 8 == 0, "a mask has bits for channels in eights, not for " + std::to_string(d.c));
  op.expect_type("mask", type, DType::uint8, Format::activation, {d.n, d.c / 8, d.h, d.w});
}

void expect_channel_vector(const Op& op, const std::string& role, const ValueType& type, const ValueType& x) {
  op.expect_type(role, type, statistic(x.dtype), Format::plain, {x.shape[1]});
}

// The inputs or outputs from `first` on are one number per channel.
void expect_channel_inputs(const Op& op, size_t first, const ValueType& x, const std::vector<const char*>& roles) {
  for (size_t i = 0; i < roles.size(); ++i) expect_channel_vector(op, roles[i], op.input(first + i), x);
}
void expect_channel_outputs(const Op& op, size_t first, const ValueType& x, const std::vector<const char*>& roles) {
  for (size_t i = 0; i < roles.size(); ++i) expect_channel_vector(op, roles[i], op.output(first + i), x);
}

Dims4 batch_dims(const Op& op, const ValueType& x) {
  const Dims4 dims = op.activation("x", x);
  op.expect(dims.n * dims.plane() > 1, "training needs more than one value per channel: use a larger batch or image");
  return dims;
}

constexpr double any = std::numeric_limits<double>::max();

Prepared prepare_training(const Op& op, Tail tail, bool summed = false) {
  const size_t residual = adds(tail) ? 1 : 0;
  const bool masked = tail == Tail::add_relu_mask;
  op.expect_counts(3 + residual + (summed ? 2 : 0), masked ? 6 : 5);
  const ValueType& x = op.input(0);
  const Training g{batch_dims(op, x), op.number("epsilon", 0, any), op.number("momentum", 0, 1), tail};
  if (residual) op.expect_equal("residual", op.input(1), x);
  expect_channel_inputs(op, 1 + residual, x, {"weight", "bias"});
  if (summed) expect_channel_inputs(op, 3 + residual, x, {"sum", "square_sum"});
  op.expect_equal("y", op.output(0), x);
  if (masked) expect_mask(op, op.output(5), g.dims);
  expect_channel_outputs(op, 1, x, {"mean", "invstd", "running_mean", "running_var"});
  InPlace in_place{{0, 0}};
  if (residual) in_place.emplace_back(0, 1);
  return with_float(op, x.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared(
        [=](const Arguments& a) {
          using S = Statistic<T>;
          const auto given = [&](size_t i) { return summed ? input<S>(a, i + residual) : nullptr; };
          batch_norm<T>(g, input<T>(a, 0), residual ? input<T>(a, 1) : nullptr,
                        {input<S>(a, 1 + residual), input<S>(a, 2 + residual), given(3), given(4)}, output<T>(a, 0),
                        {output<S>(a, 1), output<S>(a, 2), output<S>(a, 3), output<S>(a, 4)});
          if (masked) keep_mask(g.dims, output<T>(a, 0), output<uint8_t>(a, 5));
        },
        in_place);
  });
}

template <class T>
GradientValues<T> gradient_values(const Arguments& a, Tail tail) {
  using S = Statistic<T>;
  GradientValues<T> v{};
  v.dy = input<T>(a, 0);
  v.x = input<T>(a, 1);
  v.dx = output<T>(a, 0);
  if (tail == Tail::add_relu) v.y = input<T>(a, 2);
  if (tail == Tail::add_relu_mask) v.mask = input<uint8_t>(a, 2);
  if (adds(tail)) v.dresidual = output<T>(a, 1);
  if (tail == Tail::relu) v.bias = input<S>(a, 3);
  const size_t more = tail == Tail::none ? 0 : 1;
  v.weight = input<S>(a, adds(tail) ? 3 : 2);
  v.mean = input<S>(a, 3 + more);
  v.invstd = input<S>(a, 4 + more);
  v.dweight = output<S>(a, adds(tail) ? 2 : 1);
  v.dbias = output<S>(a, adds(tail) ? 3 : 2);
  return v;
}

Prepared prepare_gradient(const Op& op, Tail tail) {
  const bool add = adds(tail);
  op.expect_counts(tail == Tail::none ? 5 : 6, add ? 4 : 3);
  const ValueType& x = op.input(1);
  const Dims4 dims = batch_dims(op, x);
  op.expect_equal("dy", op.input(0), x);
  op.expect_equal("dx", op.output(0), x);
  if (tail == Tail::add_relu) op.expect_equal("y", op.input(2), x);
  if (tail == Tail::add_relu_mask) expect_mask(op, op.input(2), dims);
  if (add) op.expect_equal("dresidual", op.output(1), x);
  if (tail == Tail::relu)
    expect_channel_inputs(op, 2, x, {"weight", "bias", "mean", "invstd"});
  else
    expect_channel_inputs(op, add ? 3 : 2, x, {"weight", "mean", "invstd"});
  expect_channel_outputs(op, add ? 2 : 1, x, {"dweight", "dbias"});
  InPlace in_place{{0, 0}, {0, 1}};
  if (add) in_place = {{1, 0}, {0, 1}, {0, 0}, {1, 1}};
  if (tail == Tail::add_relu) in_place.insert(in_place.end(), {{0, 2}, {1, 2}});
  return with_float(op, x.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) { batch_norm_grad<T>(dims, tail, gradient_values<T>(a, tail)); }, in_place);
  });
}

Prepared prepare_inference(const Op& op, Tail tail) {
  const size_t residual = tail == Tail::add_relu ? 1 : 0;
  op.expect_counts(5 + residual, 1);
  const ValueType& x = op.input(0);
  const Dims4 dims = op.activation("x", x);
  const double epsilon = op.number("epsilon", 0, any);
  if (residual) op.expect_equal("residual", op.input(1), x);
  expect_channel_inputs(op, 1 + residual, x, {"weight", "bias", "running_mean", "running_var"});
  op.expect_equal("y", op.output(0), x);
  InPlace in_place{{0, 0}};
  if (residual) in_place.emplace_back(0, 1);
  return with_float(op, x.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared(
        [=](const Arguments& a) {
          const auto parameter = [&](size_t i, int64_t c) { return double{input<Statistic<T>>(a, i + residual)[c]}; };
          for (int64_t c = 0; c < dims.c; ++c) {
            const Affine affine{parameter(3, c), variance_to_invstd(parameter(4, c), epsilon), parameter(1, c),
                                parameter(2, c)};
            apply<T>(dims, c, affine, tail, input<T>(a, 0), residual ? input<T>(a, 1) : nullptr, output<T>(a, 0));
          }
        },
        in_place);
  });
}

}  // namespace

Prepared prepare_batch_norm(const Op& op) { return prepare_training(op, Tail::none); }
Prepared prepare_batch_norm_relu(const Op& op) { return prepare_training(op, Tail::relu); }
Prepared prepare_batch_norm_add_relu(const Op& op) { return prepare_training(op, Tail::add_relu); }
Prepared prepare_batch_norm_add_relu_mask(const Op& op) { return prepare_training(op, Tail::add_relu_mask); }
Prepared prepare_batch_norm_summed(const Op& op) { return prepare_training(op, Tail::none, true); }
Prepared prepare_batch_norm_summed_relu(const Op& op) { return prepare_training(op, Tail::relu, true); }
Prepared prepare_batch_norm_summed_add_relu(const Op& op) { return prepare_training(op, Tail::add_relu, true); }
Prepared prepare_batch_norm_summed_add_relu_mask(const Op& op) {
  return prepare_training(op, Tail::add_relu_mask, true);
}

Prepared prepare_batch_norm_grad(const Op& op) { return prepare_gradient(op, Tail::none); }
Prepared prepare_batch_norm_relu_grad(const Op& op) { return prepare_gradient(op, Tail::relu); }
Prepared prepare_batch_norm_add_relu_grad(const Op& op) { return prepare_gradient(op, Tail::add_relu); }
Prepared prepare_batch_norm_add_relu_mask_grad(const Op& op) { return prepare_gradient(op, Tail::add_relu_mask); }

Prepared prepare_batch_norm_finish(const Op& op) {
  op.expect_counts(5, 6);
  const ValueType& x = op.input(0);
  const Dims4 dims = batch_dims(op, x);
  const double epsilon = op.number("epsilon", 0, any), momentum = op.number("momentum", 0, 1);
  expect_channel_inputs(op, 1, x, {"weight", "bias", "sum", "square_sum"});
  expect_channel_outputs(op, 0, x, {"mean", "invstd", "running_mean", "running_var"});
  op.expect_type("scale", op.output(4), x.dtype, Format::plain, {dims.c});
  op.expect_type("shift", op.output(5), x.dtype, Format::plain, {dims.c});
  const auto count = static_cast<double>(dims.n * dims.plane());
  return with_float(op, x.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared([=](const Arguments& a) {
      using S = Statistic<T>;
      for (int64_t c = 0; c < dims.c; ++c) {
        const auto given = [&](size_t i) { return double{input<S>(a, i)[c]}; };
        const auto set = [&](size_t i, double value) { output<S>(a, i)[c] = static_cast<S>(value); };
        const auto blend = [&](size_t i, double batch) {
          set(i, (1 - momentum) * double{output<S>(a, i)[c]} + momentum * batch);
        };
        const Moments moments = from_sums(given(3), given(4), count);
        const double invstd = variance_to_invstd(moments.variance, epsilon), scale = given(1) * invstd;
        set(0, moments.mean);
        set(1, invstd);
        blend(2, moments.mean);
        blend(3, moments.variance * count / (count - 1));
        output<T>(a, 4)[c] = static_cast<T>(scale);
        output<T>(a, 5)[c] = static_cast<T>(given(2) - moments.mean * scale);
      }
    });
  });
}

Prepared prepare_batch_norm_summed_grad(const Op& op) {
  op.expect_counts(7, 1);
  const ValueType& x = op.input(1);
  const Dims4 dims = batch_dims(op, x);
  op.expect_equal("dy", op.input(0), x);
  op.expect_equal("dx", op.output(0), x);
  expect_channel_inputs(op, 2, x, {"weight", "mean", "invstd", "dweight", "dbias"});
  const auto count = static_cast<double>(dims.n * dims.plane());
  return with_float(op, x.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared(
        [=](const Arguments& a) {
          const T *dy = input<T>(a, 0), *values = input<T>(a, 1);
          for (int64_t c = 0; c < dims.c; ++c) {
            const auto channel = [&](size_t i) { return double{input<Statistic<T>>(a, i)[c]}; };
            const Affine affine{channel(3), channel(4), channel(2), 0};
            const ParameterSums sums{channel(5), channel(6)};
            for_channel(dims, c, [&](int64_t i) {
              output<T>(a, 0)[i] =
                  static_cast<T>(input_gradient(affine, sums, count, double{dy[i]}, double{values[i]}));
            });
          }
        },
        {{0, 0}, {0, 1}});
  });
}

Prepared prepare_batch_norm_inference(const Op& op) { return prepare_inference(op, Tail::none); }
Prepared prepare_batch_norm_inference_relu(const Op& op) { return prepare_inference(op, Tail::relu); }
Prepared prepare_batch_norm_inference_add_relu(const Op& op) { return prepare_inference(op, Tail::add_relu); }

Prepared prepare_batch_norm_inference_grad(const Op& op) {
  op.expect_counts(5, 3);
  const ValueType& x = op.input(1);
  const Dims4 dims = op.activation("x", x);
  const double epsilon = op.number("epsilon", 0, any);
  op.expect_equal("dy", op.input(0), x);
  op.expect_equal("dx", op.output(0), x);
  expect_channel_inputs(op, 2, x, {"weight", "running_mean", "running_var"});
  expect_channel_outputs(op, 1, x, {"dweight", "dbias"});
  return with_float(op, x.dtype, [&]<class T>(std::type_identity<T>) {
    return prepared(
        [=](const Arguments& a) {
          using S = Statistic<T>;
          const T *dy = input<T>(a, 0), *values = input<T>(a, 1);
          T* dx = output<T>(a, 0);
          for (int64_t c = 0; c < dims.c; ++c) {
            const double weight = double{input<S>(a, 2)[c]}, mean = double{input<S>(a, 3)[c]};
            const Affine affine{mean, variance_to_invstd(double{input<S>(a, 4)[c]}, epsilon), weight, 0};
            const auto sums = parameter_sums(dims, c, affine, values, [&](int64_t i) { return double{dy[i]}; });
            output<S>(a, 1)[c] = static_cast<S>(sums.dweight);
            output<S>(a, 2)[c] = static_cast<S>(sums.dbias);
            for_channel(dims, c, [&](int64_t i) { dx[i] = static_cast<T>(double{dy[i]} * weight * affine.invstd); });
          }
        },
        {{0, 0}, {0, 1}});
  });
}

}  // namespace node_cudnn::reference
