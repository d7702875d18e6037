#include <type_traits>

#include "backend/cpu/kernel.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/ops.h"
#include "program/bfloat16.h"

namespace node_cudnn::cpu {

namespace {

// Only filters lie differently in memory when their dtype changes.
Prepared cast_filter(const Cpu& cpu, const ValueType& x, const ValueType& y) {
  const Operand from = input(0, describe(cpu, x)), to = output(0, describe(cpu, y));
  const dnnl::reorder::primitive_desc desc(engine(), from.desc, engine(), to.desc, strict_attributes());
  Chain chain;
  chain.add(desc, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
  return std::move(chain).finish(desc.impl_info_str());
}

template <class From, class To>
Prepared cast_elements(int threads, int64_t count) {
  return prepared("loops", [threads, count](const Arguments& a) {
    const From* x = input<From>(a, 0);
    To* y = output<To>(a, 0);
    parallel_elements(threads, count, [&](int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) y[i] = static_cast<To>(static_cast<float>(x[i]));
    });
  });
}

// Also from whole numbers: labels and pixels.
template <class Function>
Prepared with_source(DType dtype, Function&& f) {
  switch (dtype) {
    case DType::int32:
      return f(std::type_identity<int32_t>{});
    case DType::uint8:
      return f(std::type_identity<uint8_t>{});
    case DType::bfloat16:
      return f(std::type_identity<bfloat16>{});
    default:
      return f(std::type_identity<float>{});
  }
}

}  // namespace

Prepared prepare_cast(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 1);
  const ValueType &x = input_type(graph, node, 0), &y = output_type(graph, node, 0);
  data_type(x.dtype);
  expect_float("y", y);
  expect_type("y", y, {y.dtype, x.format, x.shape});
  if (x.format == Format::filter) return cast_filter(cpu, x, y);
  return with_source(x.dtype, [&]<class From>(std::type_identity<From>) {
    const int64_t count = elements(x.shape);
    if (y.dtype == DType::bfloat16) return cast_elements<From, bfloat16>(cpu.threads, count);
    return cast_elements<From, float>(cpu.threads, count);
  });
}

}  // namespace node_cudnn::cpu
