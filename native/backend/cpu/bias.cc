#include "backend/cpu/kernel.h"
#include "backend/cpu/ops.h"
#include "backend/cpu/pieces.h"

namespace node_cudnn::cpu {
namespace {

void add_up(const simd::Pieces& pieces, const double* partial, float* db, int64_t block) {
  const int64_t width = pieces.planes.block;
  double sums[max_block] = {};
  for_each_piece(pieces, block, [&](int64_t index, int64_t) {
    for (int64_t i = 0; i < width; ++i) sums[i] += partial[index * width + i];
  });
  for (int64_t i = 0; i < width; ++i) db[block * width + i] = static_cast<float>(sums[i]);
}

}  // namespace

Prepared prepare_bias_grad(const Cpu& cpu, const Graph& graph, const Node& node) {
  expect_counts(node, 1, 1);
  ValueType dy = input_type(graph, node, 0);
  if (dy.format == Format::plain && dy.shape.size() == 2)  // lies in memory as [N, C, 1, 1] does
    dy = {dy.dtype, Format::activation, {dy.shape[0], dy.shape[1], 1, 1}};
  const simd::Pieces pieces = pieces_of(expect_activation(cpu, "dy", dy));
  expect_type("db", output_type(graph, node, 0), plain(DType::float32, {dy.shape[1]}));

  const int64_t total = count(pieces);
  const size_t workspace = static_cast<size_t>(total * pieces.planes.block) * sizeof(double);
  const auto run = [pieces, total, threads = cpu.threads,
                    &sums = *simd::batch_norm(cpu.isa, dy.dtype).sums](const Arguments& a) {
    auto* partial = static_cast<double*>(a.workspace);
    parallel(threads, total, 4, [&](int64_t begin, int64_t end) { sums(pieces, a.inputs[0], partial, begin, end); });
    parallel(threads, pieces.planes.blocks, 1024, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) add_up(pieces, partial, output<float>(a, 0), b);
    });
  };
  return prepared(simd_name(cpu), run, workspace);
}

}  // namespace node_cudnn::cpu
