// Planted bugs in fusion and folding, and in the kernels that they put in the place of others.
import { cpuOps, cudaOps, file, type Mutant } from './mutant.ts';

const fusions = file('test/graph/fusions.test.ts');

export const fusion: readonly Mutant[] = [
  {
    bug: 'a training step fuses convolution and ReLU',
    file: 'lib/ops/conv_fused.ts',
    find: "last.op === 'relu' && !last.outputs[0]?.graph.training",
    replace: "last.op === 'relu'",
    tests: fusions,
  },
  {
    bug: 'a group that was refused is formed',
    file: 'lib/graph/fuse.ts',
    find: 'if (this.#choose && !this.#choose(this.#group(op, foldings))) return;',
    replace: 'if (this.#choose) this.#choose(this.#group(op, foldings));',
    tests: file('test/graph/groups.test.ts'),
  },
  {
    bug: 'what later passes find is not asked about',
    file: 'lib/choice.ts',
    find: 'answers.set(question, await isFaster(question, group));\n  }',
    replace: 'answers.set(question, await isFaster(question, group));\n    return fused;\n  }',
    tests: file('test/choice.test.ts'),
  },
  {
    bug: 'the convolution takes its own output for the residual',
    file: 'lib/ops/conv_fused.ts',
    find: 'sum?.inputs.find((input) => input !== conv?.outputs[0])',
    replace: 'sum?.inputs[0]',
    tests: fusions,
  },
  {
    bug: 'a normalisation is folded although the convolution has a bias, which is lost',
    file: 'lib/ops/fold.ts',
    find: 'if (!conv || !x || !w || bias || x.graph.training) return undefined;',
    replace: 'if (!conv || !x || !w || (bias && false) || x.graph.training) return undefined;',
    tests: fusions,
  },
  {
    bug: 'a weight that is cast is not looked through, and half precision folds nothing',
    file: 'lib/ops/fold.ts',
    find: 'const full = cast ? (cast.inputs[0] as Value) : w;',
    replace: 'const full = w;',
    tests: fusions,
  },
  {
    bug: 'the mean is folded without the scale',
    file: 'native/backend/cpu/fold.cc',
    find: 'bias[o] - mean[o] * scale(a, o)',
    replace: 'bias[o] - mean[o]',
    tests: cpuOps('fold_batch_norm'),
  },
  {
    bug: 'all blocks of outputs are scaled like the first that a thread meets',
    file: 'native/backend/cpu/fold.cc',
    find: 'stop = std::min(end, (begin / lines + 1) * lines);',
    replace: 'stop = end;',
    tests: cpuOps('fold_batch_norm'),
  },
  {
    bug: 'Winograd rectifies before it adds the residual',
    file: 'native/backend/cpu/simd/winograd.cc',
    find: 'if (residual) v += load(residual + offset);\n    return f.relu ? relu(v) : v;',
    replace: 'if (f.relu) v = relu(v);\n    return residual ? v + load(residual + offset) : v;',
    tests: cpuOps('conv2d_add_relu'),
  },
  {
    bug: 'Winograd takes the bias of the first block for all',
    file: 'native/backend/cpu/simd/winograd.cc',
    find: 'load(f.bias + block * B)',
    replace: 'load(f.bias + 0 * block)',
    tests: cpuOps('conv2d_relu'),
  },
  {
    bug: 'oneDNN leaves a sum with a residual as it is, negative or not',
    file: 'native/backend/cpu/conv.cc',
    find: 'if (epilogue.residual) operations.append_binary(dnnl::algorithm::binary_add, y);\n  if (epilogue.relu) operations.append_eltwise(dnnl::algorithm::eltwise_relu, 0, 0);',
    replace:
      'if (epilogue.residual) operations.append_binary(dnnl::algorithm::binary_add, y);\n  if (epilogue.relu && !epilogue.residual) operations.append_eltwise(dnnl::algorithm::eltwise_relu, 0, 0);',
    tests: cpuOps('conv2d_add_relu'),
  },
];

/** In the CUDA back end, found on the simulated device. */
export const fusedKernels: readonly Mutant[] = [
  {
    bug: 'the last numbers of every output are not folded',
    file: 'native/backend/cuda/fold.cu',
    find: 'i < row; i += blockDim.x) y[o * row + i]',
    replace: 'i < row / 2 * 2; i += blockDim.x) y[o * row + i]',
    tests: cudaOps('float32 fold_batch_norm'),
  },
  {
    bug: 'a fused convolution in half precision hands its bias on, but not its residual',
    file: 'native/backend/cuda/planned.cc',
    find: 'stand_in_.residual ? a.inputs[3] : nullptr}',
    replace: 'stand_in_.residual ? a.inputs[0] : nullptr}',
    tests: cudaOps('float16 conv2d_add_relu'),
  },
  {
    bug: 'the gradient by given sums forgets that of the bias',
    file: 'native/backend/cuda/batch_norm_grad.h',
    find: 'c.gradient(k) - offset_of.at[k] - c.centred(k)',
    replace: 'c.gradient(k) - 0 * offset_of.at[k] - c.centred(k)',
    tests: cudaOps('float32 batch_norm_summed_grad'),
  },
  {
    bug: 'the mask of a fused gradient forgets the bias',
    file: 'native/backend/cuda/batch_norm_grad.h',
    find: 'scale.at[k], bias.at[k]) > 0',
    replace: 'scale.at[k], 0 * bias.at[k]) > 0',
    tests: cudaOps('float32 conv2d_dgrad_statistics', { settings: 'fuse=0' }),
  },
  {
    bug: 'the shift for the next convolution forgets the mean',
    file: 'native/backend/cuda/batch_norm_finish.cu',
    find: 'fmaf(-centre, slope, bias[channel])',
    replace: 'fmaf(-0 * centre, slope, bias[channel])',
    tests: cudaOps('float32 batch_norm_finish'),
  },
  {
    bug: 'what a convolution reads is scaled and shifted, but not rectified, where no engine does it',
    file: 'native/backend/cuda/scale_relu.cu',
    find: 'value < 0 ? 0 : value',
    replace: 'value < 0 ? value : value',
    tests: cudaOps('float32 scaled_conv2d_wgrad', { settings: 'fuse=0' }),
  },
  {
    bug: 'what the next convolution reads is made without its residual, where no engine does it',
    file: 'native/backend/cuda/planned.cc',
    find: 'adds ? a.inputs[3] : nullptr',
    replace: '!adds ? a.inputs[3] : nullptr',
    tests: cudaOps('float32 scaled_add_conv2d_statistics', { settings: 'fuse=0' }),
  },
  {
    bug: 'what an engine adds to is not zeroed',
    file: 'native/backend/cuda/engines.cc',
    find: 'if (!plan || !candidate.accumulates) return plan;',
    replace: 'if (!plan || !candidate.accumulates || candidate.accumulates) return plan;',
    tests: { file: 'test/cuda/fused.test.ts', names: 'ResNet-20.*bfloat16', simulation: {} },
  },
  {
    bug: 'of a group and its nodes the slower is taken',
    file: 'native/program/choice.cc',
    find: 'if (seconds >= least) continue;',
    replace: 'if (seconds < least && !best.empty()) continue;',
    tests: { file: 'test/cuda/groups.test.ts', names: 'are left where', simulation: {} },
  },
  {
    bug: 'answers of one way to choose engines hold for others',
    file: 'native/backend/cuda/engines.cc',
    find: 'return std::string(cuda_.tf32 ? "; tf32" : "") + compiled;',
    replace: 'return std::string(cuda_.tf32 ? "" : "") + (compiled ? "" : "");',
    tests: { file: 'test/cuda/groups.test.ts', names: 'hold for the way', simulation: {} },
  },
  {
    bug: 'the variance from sums forgets the mean',
    file: 'native/backend/cuda/batch_norm.cu',
    find: 'fmaf(-mean, sum[channel], square_sum[channel])',
    replace: 'fmaf(-0 * mean, sum[channel], square_sum[channel])',
    tests: cudaOps('float32 batch_norm_summed'),
  },
  {
    bug: 'what cuDNN does not fuse is left without its residual',
    file: 'native/backend/cuda/relu.cu',
    find: 'return Rectify{}(x + residual);',
    replace: 'return Rectify{}(x + 0 * residual);',
    tests: cudaOps('float32 conv2d_add_relu', { settings: 'fuse=0' }),
  },
];
