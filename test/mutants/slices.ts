// Planted bugs of values that lie inside others: where they are placed, how long they live, and who finds them there.
import type { Mutant, Tests } from './mutant.ts';

export const slices: readonly Mutant[] = [
  {
    bug: 'a value dies while something inside it is still read',
    file: 'native/program/planner.cc',
    find: 'std::max(whole.end, lives[i].end)};',
    replace: 'whole.end};',
    tests: { native: 'Planner*' },
  },
  {
    bug: 'a value inside another one moves in with an input',
    file: 'native/program/planner.cc',
    find: 'if (values_[output].whole >= 0 || values_[input].whole >= 0 || lives_[output].start != time) return;',
    replace: '',
    tests: { native: 'Planner*' },
  },
  {
    bug: 'a value lies inside another one, where a reader does not find it',
    file: 'native/program/slices.cc',
    find: '|| takes(node, part);',
    replace: '|| takes(node, part) || !has(node.outputs);',
    tests: { native: 'Slices*' },
  },
  {
    bug: 'images of a value inside another one lie as in one of its own',
    file: 'native/backend/cpu/slices.cc',
    find: 'return others * shape[2] * shape[3];',
    replace: 'return 0 * others * shape[2] * shape[3];',
    tests: { native: 'CpuLayers.Pooling*' },
  },
  {
    bug: 'sums over a gradient inside another one go on into its neighbour',
    file: 'native/backend/cpu/simd/batch_norm.cc',
    find: 'ahead = piece.ahead + image * piece.gap;',
    replace: 'ahead = piece.ahead;',
    tests: { native: 'CpuKernels.BatchNorm*' },
  },
];

const networks: Tests = { file: 'test/cuda/sliced.test.ts', names: 'float32', simulation: {} };

export const slicedKernels: readonly Mutant[] = [
  {
    bug: 'pixels of a value inside another one lie as in one of its own',
    file: 'native/backend/cuda/columns.h',
    find: 'return offset + row * gap;',
    replace: 'return offset + 0 * row * gap;',
    tests: networks,
  },
  {
    bug: 'the index of a pool is spread as the output inside another value is',
    file: 'native/backend/cuda/pool.cu',
    find: 'store(index + g.pixel(n, i, j) * g.channels + channel, taps);',
    replace: 'store(index + g.pixel(n, i, j) * g.distance + channel, taps);',
    tests: networks,
  },
];
