// Planted bugs, and the quick tests that must turn red for each. `find` must occur exactly once in `file`.
import { cpu } from './cpu.ts';
import { fusion } from './fusion.ts';
import { layers } from './layers.ts';
import { lossScale } from './loss-scale.ts';
import { file, goldens, gradients, type Mutant } from './mutant.ts';
import { slices } from './slices.ts';

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
    bug: 'a workspace lies on what is alive while its kernel runs',
    file: 'native/program/planner.cc',
    find: 'tenants_.push_back({align(node.workspace_bytes), {time, time}});',
    replace: 'tenants_.push_back({align(node.workspace_bytes), {time + 1, time + 1}});',
    tests: { native: 'Planner*' },
  },
  {
    bug: 'every step reads the inputs of the first',
    file: 'native/program/program.cc',
    find: 'inputs[i] + step * host_bytes(type)',
    replace: 'inputs[i] + 0 * step * host_bytes(type)',
    tests: gradients('linear'),
  },
  {
    bug: 'a read finds steps in flight',
    file: 'native/program/device.cc',
    find: '    settle();\n    task();',
    replace: '    task();',
    tests: { native: 'Device*' },
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
    bug: 'biases and norms are adapted by LARS',
    file: 'lib/optim/lars.ts',
    find: 'decay = noBiasNoNorm }',
    replace: 'decay = () => true }',
    tests: file('test/optim/optimizers.test.ts'),
  },
  {
    bug: 'the polynomial schedule forgets its power',
    file: 'lib/optim/schedules.ts',
    find: '(1 - Math.min(at / totalSteps, 1)) ** power',
    replace: '(1 - Math.min(at / totalSteps, 1)) ** 1',
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

const pictures: readonly Mutant[] = [
  {
    bug: 'a picture is cut alike in every epoch',
    file: 'lib/data/random.ts',
    find: 'this.#index, this.#epoch, this.#stream]',
    replace: 'this.#index, 0, this.#stream]',
    tests: { file: 'test/data/transforms.test.ts', names: 'depend on seed' },
  },
  {
    bug: 'the central crop rounds down',
    file: 'lib/data/transforms.ts',
    find: 'half : 2 * Math.round(half / 2)',
    replace: 'half : Math.floor(half)',
    tests: { file: 'test/data/transforms.test.ts', names: 'lies where' },
  },
  {
    bug: 'rows of a picture are never resized first',
    file: 'native/image/picture.cc',
    find: 'return fewer_rows > std::max(0, 2 * fewer_columns);',
    replace: 'return fewer_rows > std::max(1 << 20, 2 * fewer_columns);',
    tests: file('test/image/resize.test.ts'),
  },
  {
    bug: 'levels of a resized picture round down',
    file: 'native/image/passes.cc',
    find: '+ low + half)',
    replace: '+ low + half / 2)',
    tests: file('test/image/resize.test.ts'),
  },
  {
    bug: 'the picture in place of a damaged one counts',
    file: 'lib/data/stream.ts',
    find: '      labels[row] = -1;\n',
    replace: '',
    tests: { file: 'test/data/stream.test.ts', names: 'left out on request' },
  },
  {
    bug: 'a resumed epoch streams from its beginning',
    file: 'lib/train/runner.ts',
    find: 'epoch, from: stepOfEpoch',
    replace: 'epoch, from: 0',
    tests: { file: 'test/train/stream.test.ts', names: 'in the middle' },
  },
];

export const mutants: readonly Mutant[] = [
  ...cpu,
  ...reference,
  ...layers,
  ...fusion,
  ...lossScale,
  ...program,
  ...slices,
  ...typescript,
  ...pictures,
];
