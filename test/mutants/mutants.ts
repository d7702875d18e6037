// Planted bugs, and the quick tests that must turn red for each. `find` must occur exactly once in `file`.
import { layers } from './layers.ts';
import { cpuOps, file, goldens, gradients, type Mutant } from './mutant.ts';

const cpu: readonly Mutant[] = [
  {
    bug: 'Nesterov steps along the velocity twice',
    file: 'native/backend/cpu/simd/optimizer.cc',
    find: 'gradient + momentum * velocity : velocity',
    replace: 'gradient + velocity : velocity',
    tests: cpuOps('sgd_update'),
  },
  {
    bug: 'weight decay is dropped with momentum',
    file: 'native/backend/cpu/simd/optimizer.cc',
    find: 'const Vector gradient = scale * load(g + i, n) + decay * weight;',
    replace: 'const Vector gradient = scale * load(g + i, n) + 0 * decay * weight;',
    tests: cpuOps('sgd_update'),
  },
  {
    bug: 'a coefficient of the exponential is wrong',
    file: 'native/backend/cpu/simd/exponential.h',
    find: 'p = p * r + 1.0f / 24;',
    replace: 'p = p * r + 1.0f / 25;',
    tests: cpuOps('softmax_cross_entropy'),
  },
  {
    bug: 'label smoothing is left out of the loss',
    file: 'native/backend/cpu/loss.cc',
    find: 'double loss = (1 - s.smoothing) * (',
    replace: 'double loss = (',
    tests: cpuOps('softmax_cross_entropy'),
  },
  {
    bug: 'ignored labels count in the mean',
    file: 'native/backend/cpu/loss.cc',
    find: 'std::max<int64_t>(s.batch - ignored, 1)',
    replace: 'std::max<int64_t>(s.batch - 0 * ignored, 1)',
    tests: cpuOps('softmax_cross_entropy'),
  },
  {
    bug: 'equal logits rank by the higher class',
    file: 'native/backend/cpu/metrics.cc',
    find: '(other == own) & (c < label)',
    replace: '(other == own) & (c > label)',
    tests: cpuOps('topk_correct'),
  },
  {
    bug: 'the option-A shortcut reads unstrided rows',
    file: 'native/backend/cpu/subsample.cc',
    find: 'at(g_.x, x, n, c, i * g_.stride_h)',
    replace: 'at(g_.x, x, n, c, i)',
    tests: cpuOps('subsample_pad'),
  },
  {
    bug: 'stale memory between the pixels of the shortcut gradient',
    file: 'native/backend/cpu/subsample.cc',
    find: 'for (int64_t j = 0; j < g_.x.w; ++j) fill(to + j * g_.x.block);',
    replace: '',
    tests: cpuOps('subsample_pad'),
  },
  {
    bug: 'the last row of crops is never drawn',
    file: 'native/backend/cpu/augment.cc',
    find: 'static_cast<uint32_t>(g.free_rows() + 1)',
    replace: 'static_cast<uint32_t>(g.free_rows() + 0)',
    tests: cpuOps('augment'),
  },
  {
    bug: 'three of four images are mirrored',
    file: 'native/backend/cpu/augment.cc',
    find: '(r[2] >> 31) != 0',
    replace: '(r[2] >> 30) != 0',
    tests: cpuOps('augment'),
  },
  {
    bug: 'the last maximum of a window wins, not the first',
    file: 'native/backend/cpu/pool.cc',
    find: '!(value <= old) & (old == old)',
    replace: '!(value < old) & (old == old)',
    tests: cpuOps('max_pool2d'),
  },
  {
    bug: 'pooling gradients take the padding after for the padding before',
    file: 'native/backend/cpu/pool.cc',
    find: 'i + axis.before - k * axis.dilation',
    replace: 'i + axis.after - k * axis.dilation',
    tests: cpuOps('avg_pool2d_grad'),
  },
  {
    bug: 'average pooling divides by the padding it should leave out',
    file: 'native/backend/cpu/pool.cc',
    find: 'count_padding ? axis.inside_padded(position) : axis.inside(position)',
    replace: '!count_padding ? axis.inside_padded(position) : axis.inside(position)',
    tests: cpuOps('avg_pool2d'),
  },
  {
    bug: 'the running variance is the biased one',
    file: 'native/backend/cpu/batch_norm.cc',
    find: 'm * variance * n / (n - 1)',
    replace: 'm * variance',
    tests: cpuOps('batch_norm \\['),
  },
  {
    bug: 'the fused BN+ReLU gradient masks by the sign of its input',
    file: 'native/backend/cpu/simd/batch_norm.cc',
    find: 's * value + t > 0.0f ?',
    replace: 's * value + 0 * t > 0.0f ?',
    tests: cpuOps('batch_norm_relu_grad'),
  },
  {
    bug: 'the gradient of the residual is never written',
    file: 'native/backend/cpu/simd/batch_norm.cc',
    find: 'store(masked + i, gradient, n);',
    replace: '',
    tests: cpuOps('batch_norm_add_relu_grad'),
  },
  {
    bug: 'a term of the BN gradient is dropped',
    file: 'native/backend/cpu/simd/batch_norm.cc',
    find: 'store(to + i, ga * load(gradient + i, n) + (xb * (load(from + i, n) - center) + xc), n);',
    replace: 'store(to + i, ga * load(gradient + i, n) + (0 * xb * (load(from + i, n) - center) + xc), n);',
    tests: cpuOps('batch_norm_grad'),
  },
  {
    bug: 'Winograd data gradients keep the padding of the forward pass',
    file: 'native/backend/cpu/winograd.cc',
    find: '2 - s.top, 2 - s.left',
    replace: 's.top, s.left',
    tests: cpuOps('conv2d_dgrad'),
  },
  {
    bug: 'dilation is off by one',
    file: 'native/backend/cpu/conv.cc',
    find: '{h.dilation - 1, v.dilation - 1}',
    replace: '{h.dilation - 1, v.dilation}',
    tests: cpuOps('conv2d'),
  },
  {
    bug: 'clipping never scales down',
    file: 'native/backend/cpu/clip.cc',
    find: 'scale > 1 ? 1.0f',
    replace: 'scale > 0 ? 1.0f',
    tests: cpuOps('clip_grad_norm'),
  },
];

const reference: readonly Mutant[] = [
  {
    bug: 'grouped convolution reads the first group only',
    file: 'native/backend/reference/conv.cc',
    find: 'const int64_t channel = o / g.outputs_per_group() * g.w.c;',
    replace: 'const int64_t channel = 0;',
    tests: gradients('conv2d'),
  },
  {
    bug: 'the data gradient transposes channels',
    file: 'native/backend/reference/conv.cc',
    find: 'const int64_t first = channel / g.w.c * g.outputs_per_group(), c = channel % g.w.c;',
    replace: 'const int64_t first = channel / g.w.c * g.outputs_per_group(), c = g.w.c - 1 - channel % g.w.c;',
    tests: gradients('conv2d'),
  },
  {
    bug: 'average pooling spreads a gradient by the wrong divisor',
    file: 'native/backend/reference/pool.cc',
    find: 'return double{dy[offset]} / divisor(g, i, j);',
    replace: 'return double{dy[offset]} / divisor(g, j, i);',
    tests: gradients('average pool'),
  },
];

const program: readonly Mutant[] = [
  {
    bug: 'a value dies before its last reader has run',
    file: 'native/program/planner.cc',
    find: 'for (int value : node.inputs) lives[static_cast<size_t>(value)].end = time;',
    replace: 'for (int value : node.inputs) lives[static_cast<size_t>(value)].end = time - 1;',
    tests: { native: 'Planner*' },
  },
  {
    bug: 'an output takes the place of an input that is still read',
    file: 'native/program/planner.cc',
    find: 'if (tenant.life.end != time) return;',
    replace: '',
    tests: { native: 'Planner*' },
  },
  {
    bug: 'every step reads the inputs of the first',
    file: 'native/program/program.cc',
    find: 'inputs[i] + step * host_bytes(type)',
    replace: 'inputs[i] + 0 * step * host_bytes(type)',
    tests: gradients('linear'),
  },
];

const typescript: readonly Mutant[] = [
  {
    bug: 'a value with several users keeps one of its gradients',
    file: 'lib/graph/gradient.ts',
    find: '[...(contributions.get(input) ?? []), dx]',
    replace: '[dx]',
    tests: gradients('used three times'),
  },
  {
    bug: 'the gradient of the bias is that of the weight',
    file: 'lib/ops/linear.ts',
    find: 'const db = needsBias ? biasGrad(dy) : undefined;',
    replace: 'const db = needsBias ? biasGrad(x) : undefined;',
    tests: gradients('linear'),
  },
  {
    bug: 'fusion hides values that others read',
    file: 'lib/graph/fuse.ts',
    find: 'inner.every((value) => !this.#kept.has(value) && !read.has(value))',
    replace: 'inner.every((value) => !this.#kept.has(value) || !read.has(value))',
    tests: file('test/graph/passes.test.ts'),
  },
  {
    bug: 'Keras momentum for torch momentum in batch normalisation',
    file: 'lib/nn/batch_norm.ts',
    find: 'momentum = 0.1 } = options;',
    replace: 'momentum = 0.9 } = options;',
    tests: goldens('cifar-resnet20 cpu, float32'),
  },
  {
    bug: 'the pre-activation shortcut sees the raw input',
    file: 'lib/models/blocks.ts',
    find: 'this.downsample?.call(active) ?? x',
    replace: 'this.downsample?.call(x) ?? x',
    tests: goldens('preact cpu, float32'),
  },
  {
    bug: 'the one-cycle peak comes a step late',
    file: 'lib/optim/schedules.ts',
    find: 'const top = pctStart * totalSteps - 1;',
    replace: 'const top = pctStart * totalSteps;',
    tests: file('test/optim/schedules.test.ts'),
  },
  {
    bug: 'the shuffle never moves an image to its own place',
    file: 'lib/data/sampler.ts',
    find: 'random.below(i + 1)',
    replace: 'random.below(i)',
    tests: file('test/data/sampler.test.ts'),
  },
  {
    bug: 'Kaiming takes the fan of the other side',
    file: 'lib/nn/init.ts',
    find: 'return { fanIn: inputs * receptive, fanOut: outputs * receptive };',
    replace: 'return { fanIn: outputs * receptive, fanOut: inputs * receptive };',
    tests: file('test/nn/init.test.ts'),
  },
  {
    bug: 'a damaged checkpoint passes',
    file: 'lib/formats/safetensors.ts',
    find: "if (hash !== undefined && hash.digest('hex') !== info.checksum)",
    replace: "if (hash !== undefined && hash.digest('hex') === '')",
    tests: file('test/formats/safetensors.test.ts'),
  },
];

export const mutants: readonly Mutant[] = [...cpu, ...reference, ...layers, ...program, ...typescript];
