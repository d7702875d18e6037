// What every kernel of the CPU back end knows: the processor, and how activations lie in memory.
#pragma once

#include <cstdint>

#include "backend/backend.h"

namespace node_cudnn::cpu {

enum class Isa : uint8_t { generic, avx2, avx512 };

struct Cpu {
  int threads = 1;
  Isa isa = Isa::generic;
  bool bfloat16 = false;  // instructions for it (AVX512-BF16 or AMX); AVX-512 without them emulates
  int64_t block = 8;      // channels per block: 16 with AVX-512, else 8
};

// Physical layout of an activation: [n][blocks][h][w][block]. `block` is Cpu::block where it divides C, else 1,
// which is plain NCHW; so there is never padding inside an activation.
struct Layout {
  int64_t n, c, h, w, block;
  int64_t blocks() const { return c / block; }
  int64_t plane() const { return h * w * block; }  // elements of one channel block of one image
  int64_t size() const { return n * c * h * w; }
};

Layout activation_layout(const Cpu& cpu, const Shape& shape);

// Every op of docs/ops.md has one function of this type in the file of its family; ops.cc is the table.
using Prepare = Prepared (*)(const Cpu& cpu, const Graph& graph, const Node& node);
Prepare find_op(const std::string& op);  // nullptr where the back end lacks it

}  // namespace node_cudnn::cpu
