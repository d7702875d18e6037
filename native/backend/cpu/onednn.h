// The one place that knows oneDNN's objects: descriptors of our layouts, and kernels made of oneDNN primitives.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <utility>
#include <vector>

#include "backend/cpu/cpu.h"

namespace node_cudnn::cpu {

using Desc = dnnl::memory::desc;

dnnl::engine& engine();
dnnl::stream& stream();
dnnl::primitive_attr strict_attributes();  // float32 stays float32; scratchpads live in the workspace

dnnl::memory::data_type data_type(DType dtype);  // throws for what this device lacks

// oneDNN has products of bfloat16 from AVX-512 on: native with AVX512-BF16 or AMX, else emulated.
void expect_products(const Cpu& cpu, DType dtype);

Desc dense(const Shape& dims, dnnl::memory::data_type type);
Desc describe(const Cpu& cpu, const ValueType& type);  // the physical layout, a pure function of the type

// Of both channel axes of a filter; 1 where they are not whole blocks, and then it lies as its logical order says.
int64_t filter_block(const Cpu& cpu, const Shape& shape);

// A filter of a grouped convolution: logical [O, I / groups, kh, kw] seen as [groups, O / groups, I / groups, kh, kw].
bool can_group(const Cpu& cpu, const ValueType& filter, int64_t groups);
Desc describe_grouped(const Cpu& cpu, const ValueType& filter, int64_t groups);

Desc any_layout(const Desc& desc);

// Where a primitive finds an operand when the kernel runs.
struct Operand {
  enum class Home : uint8_t { input, output, workspace };
  Home home;
  size_t index;  // of the node's input or output; in the workspace the offset in bytes
  Desc desc;
  Operand seen_as(const Desc& other) const { return {home, index, other}; }
  bool operator==(const Operand&) const = default;
};

inline Operand input(size_t index, const Desc& desc) { return {Operand::Home::input, index, desc}; }
inline Operand output(size_t index, const Desc& desc) { return {Operand::Home::output, index, desc}; }

// Builds a kernel that runs primitives one after the other.
class Chain {
 public:
  using Arguments = std::vector<std::pair<int, Operand>>;

  Operand scratch(const Desc& desc);
  void reorder(const Operand& from, const Operand& to);    // nothing where they are one operand
  Operand reordered(const Operand& from, const Desc& to);  // `from` itself where the layouts agree

  void add(const dnnl::primitive_desc_base& desc, Arguments arguments);

  Prepared finish(const std::string& implementation) &&;

 private:
  friend class ChainKernel;
  struct Binding {
    Operand::Home home;
    size_t index;
    dnnl::memory memory;
  };
  struct Step {
    dnnl::primitive primitive;
    std::vector<Binding> bindings;
    std::vector<dnnl_exec_arg_t> arguments;
  };

  std::vector<Step> steps_;
  size_t workspace_bytes_ = 0;
  int reorders_ = 0;
};

}  // namespace node_cudnn::cpu
