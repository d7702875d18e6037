#include "backend/cpu/onednn.h"

#include <memory>
#include <stdexcept>

namespace node_cudnn::cpu {

using Tag = dnnl::memory::format_tag;

// Never destroyed: a device thread may outlive the destructors of static objects.
dnnl::engine& engine() {
  static auto& instance = *new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return instance;
}

dnnl::stream& stream() {
  static auto& instance = *new dnnl::stream(engine());
  return instance;
}

dnnl::primitive_attr strict_attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attributes.set_fpmath_mode(dnnl::fpmath_mode::strict);
  return attributes;
}

dnnl::memory::data_type data_type(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return dnnl::memory::data_type::f32;
    case DType::bfloat16:
      return dnnl::memory::data_type::bf16;
    case DType::uint8:
      return dnnl::memory::data_type::u8;
    case DType::int32:
      return dnnl::memory::data_type::s32;
    case DType::float16:
    case DType::float64:
      break;
  }
  throw std::invalid_argument(std::string(name_of(dtype)) +
                              " is not supported on the device cpu; the device reference has float64");
}

void expect_products(const Cpu& cpu, DType dtype) {
  if (dtype == DType::bfloat16 && cpu.isa != Isa::avx512)
    throw std::invalid_argument("this processor has no AVX-512, which bfloat16 needs here; use float32");
}

Desc dense(const Shape& dims, dnnl::memory::data_type type) {
  Shape strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return {dims, type, strides};
}

int64_t filter_block(const Cpu& cpu, const Shape& shape) {
  return shape[0] % cpu.block == 0 && shape[1] % cpu.block == 0 ? cpu.block : 1;
}

namespace {

Desc describe_activation(const Cpu& cpu, const ValueType& type) {
  const int64_t block = activation_layout(cpu, type.shape).block;
  const Tag tag = block == 16 ? Tag::nChw16c : block == 8 ? Tag::nChw8c : Tag::nchw;
  return {type.shape, data_type(type.dtype), tag};
}

// What oneDNN's direct convolutions of the forward pass want.
Tag filter_tag(int64_t block, DType dtype, bool grouped) {
  if (block == 1) return grouped ? Tag::goihw : Tag::oihw;
  if (block == 8) return grouped ? Tag::gOIhw8i8o : Tag::OIhw8i8o;
  if (dtype == DType::bfloat16) return grouped ? Tag::gOIhw8i16o2i : Tag::OIhw8i16o2i;
  return grouped ? Tag::gOIhw16i16o : Tag::OIhw16i16o;
}

Desc describe_filter(const Cpu& cpu, const ValueType& type) {
  if (type.shape.size() != 4) throw std::invalid_argument("a filter has 4 dimensions, not " + to_string(type.shape));
  return {type.shape, data_type(type.dtype), filter_tag(filter_block(cpu, type.shape), type.dtype, false)};
}

}  // namespace

Desc describe(const Cpu& cpu, const ValueType& type) {
  switch (type.format) {
    case Format::activation:
      return describe_activation(cpu, type);
    case Format::filter:
      return describe_filter(cpu, type);
    case Format::plain:
      break;
  }
  return dense({elements(type.shape)}, data_type(type.dtype));
}

bool can_group(const Cpu& cpu, const ValueType& filter, int64_t groups) {
  return (filter.shape[0] / groups) % filter_block(cpu, filter.shape) == 0;
}

Desc describe_grouped(const Cpu& cpu, const ValueType& filter, int64_t groups) {
  const Shape& s = filter.shape;
  return {{groups, s[0] / groups, s[1], s[2], s[3]},
          data_type(filter.dtype),
          filter_tag(filter_block(cpu, s), filter.dtype, true)};
}

Desc any_layout(const Desc& desc) { return {desc.get_dims(), desc.get_data_type(), Tag::any}; }

Operand Chain::scratch(const Desc& desc) {
  constexpr size_t alignment = 256;
  const size_t offset = workspace_bytes_;
  workspace_bytes_ += (desc.get_size() + alignment - 1) / alignment * alignment;
  return {Operand::Home::workspace, offset, desc};
}

void Chain::reorder(const Operand& from, const Operand& to) {
  if (from == to) return;
  ++reorders_;
  const dnnl::reorder::primitive_desc desc(engine(), from.desc, engine(), to.desc, strict_attributes());
  add(desc, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

Operand Chain::reordered(const Operand& from, const Desc& to) {
  if (from.desc == to) return from;
  const Operand copy = scratch(to);
  reorder(from, copy);
  return copy;
}

void Chain::add(const dnnl::primitive_desc_base& desc, Arguments arguments) {
  const Desc scratchpad = desc.scratchpad_desc();
  if (scratchpad.get_size() > 0) arguments.emplace_back(DNNL_ARG_SCRATCHPAD, scratch(scratchpad));
  Step step{dnnl::primitive(desc.get()), {}, {}};
  for (const auto& [name, operand] : arguments) {
    dnnl::memory memory(operand.desc, engine(), nullptr);
    step.arguments.push_back({name, memory.get()});
    step.bindings.push_back({operand.home, operand.index, std::move(memory)});
  }
  steps_.push_back(std::move(step));
}

class ChainKernel final : public Kernel {
 public:
  explicit ChainKernel(std::vector<Chain::Step> steps) : steps_(std::move(steps)) {}

  void run(const Arguments& arguments) override {
    for (Chain::Step& step : steps_) {
      for (Chain::Binding& binding : step.bindings) binding.memory.set_data_handle(address(binding, arguments));
      const auto count = static_cast<int>(step.arguments.size());
      dnnl::error::wrap_c_api(
          dnnl_primitive_execute(step.primitive.get(), stream().get(), count, step.arguments.data()),
          "oneDNN could not execute a primitive");
    }
  }

 private:
  static void* address(const Chain::Binding& binding, const Arguments& arguments) {
    switch (binding.home) {
      case Operand::Home::input:
        return arguments.inputs[binding.index];
      case Operand::Home::output:
        return arguments.outputs[binding.index];
      case Operand::Home::workspace:
        break;
    }
    return static_cast<char*>(arguments.workspace) + binding.index;
  }

  std::vector<Chain::Step> steps_;
};

Prepared Chain::finish(const std::string& implementation) && {
  const std::string note =
      reorders_ == 0 ? "" : " +" + std::to_string(reorders_) + (reorders_ == 1 ? " reorder" : " reorders");
  return {std::make_unique<ChainKernel>(std::move(steps_)), workspace_bytes_, implementation + note, {}};
}

}  // namespace node_cudnn::cpu
