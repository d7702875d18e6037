// Planted bugs in the ops of layers beyond ResNet's.
import { cpuOps, file, gradients, type Mutant } from './mutant.ts';

export const layers: readonly Mutant[] = [
  {
    bug: "padding 'same' puts the odd pixel before",
    file: 'lib/ops/window.ts',
    find: '[Math.floor(height / 2), Math.floor(width / 2)]',
    replace: '[Math.ceil(height / 2), Math.ceil(width / 2)]',
    tests: file('test/ops/shapes.test.ts'),
  },
  {
    bug: "padding 'same' forgets the stride",
    file: 'lib/ops/window.ts',
    find: '(Math.ceil(input / stride) - 1) * stride + extent - input',
    replace: '(Math.ceil(input / stride) - 1) + extent - input',
    tests: file('test/ops/shapes.test.ts'),
  },
  {
    bug: 'the sigmoid of negative numbers is mirrored',
    file: 'native/backend/cpu/simd/element.cc',
    find: '(x < 0.0f ? e : broadcast(1))',
    replace: '(x > 0.0f ? e : broadcast(1))',
    tests: cpuOps('sigmoid'),
  },
  {
    bug: 'tanh loses the digits of small numbers',
    file: 'native/backend/cpu/simd/element.cc',
    find: 'const Vector m = exponential_less_one(-2.0f * magnitude(x));',
    replace: 'const Vector m = exponential(-2.0f * magnitude(x)) - 1.0f;',
    tests: cpuOps('tanh'),
  },
  {
    bug: 'the gradient of tanh misses the square',
    file: 'native/backend/reference/tanh.cc',
    find: 'return dy * (1 - y * y);',
    replace: 'return dy * (1 - y);',
    tests: gradients('tanh'),
  },
  {
    bug: 'concat counts the place of a channel in the block of the input',
    file: 'native/backend/cpu/concat.cc',
    find: '(p.to + c) % y.block;',
    replace: '(p.from + c) % y.block;',
    tests: cpuOps('concat'),
  },
  {
    bug: 'every slice of a concatenation begins with the first channel',
    file: 'lib/ops/concat.ts',
    find: 'end += input.shape[1] as number;',
    replace: 'end += 0 * (input.shape[1] as number);',
    tests: gradients('concat'),
  },
];
