// Bugs of loss scaling: in its ops, and in the step that is made of them.
import type { Mutant, Tests } from './mutant.ts';

const run = (names: string): Tests => ({ file: 'test/train/loss-scale.test.ts', names });
const golden = run('those of torch');
const untouched = run('changes nothing but the scale');

export const lossScale: readonly Mutant[] = [
  {
    bug: 'a gradient that is not a number passes as finite',
    file: 'native/backend/reference/loss_scale.cc',
    find: 'finite = finite && std::isfinite(value);',
    replace: 'finite = finite && !std::isinf(value);',
    tests: golden,
  },
  {
    bug: 'only the last gradient says whether all are finite',
    file: 'native/backend/reference/loss_scale.cc',
    find: 'finite = finite && std::isfinite(value);',
    replace: 'finite = std::isfinite(value);',
    tests: golden,
  },
  {
    bug: 'the loss scale grows one step late',
    file: 'native/backend/reference/loss_scale.cc',
    find: '} else if (++*good == interval) {',
    replace: '} else if ((*good)++ == interval) {',
    tests: golden,
  },
  {
    bug: 'the loss scale grows to infinity',
    file: 'native/backend/reference/loss_scale.cc',
    find: 'if (std::isfinite(grown)) *scale = grown;',
    replace: '*scale = grown;',
    tests: { file: 'test/ops/reference.test.ts', names: 'grow to infinity' },
  },
  {
    bug: 'variables are restored after good steps',
    file: 'native/backend/reference/snapshot.cc',
    find: 'if (*input<int32_t>(a, 0) == 0) copy_all(a, 1, bytes);',
    replace: 'if (*input<int32_t>(a, 0) != 0) copy_all(a, 1, bytes);',
    tests: golden,
  },
  {
    bug: 'float16 rounds down',
    file: 'native/program/float16.h',
    find: 'magnitude + 0x0FFF + (magnitude >> 13 & 1)',
    replace: 'magnitude',
    tests: { file: 'test/ops/reference.test.ts', names: 'rounds float32' },
  },
  {
    bug: 'the loss is not scaled',
    file: 'lib/train/loss-scale.ts',
    find: 'gradient(loss, wrt, this.#scale)',
    replace: 'gradient(loss, wrt)',
    tests: golden,
  },
  {
    bug: 'averages count the steps that were skipped',
    file: 'lib/train/loss-scale.ts',
    find: '    increment(this.updates);\n    const graph = undoneUnless(this.#graph, this.#graph.find(finiteName));\n',
    replace:
      '    const graph = undoneUnless(this.#graph, this.#graph.find(finiteName));\n    increment(graph.find(updatesName));\n',
    tests: untouched,
  },
  {
    bug: 'running statistics of a skipped step stay',
    file: 'lib/train/loss-scale.ts',
    find: 'const early = variablesWritten(source.nodes.slice(0, place));',
    replace: 'const early: Value[] = [];',
    tests: untouched,
  },
  {
    bug: 'the last node of a skipped step stays',
    file: 'lib/train/loss-scale.ts',
    find: 'const late = variablesWritten(source.nodes.slice(place))',
    replace: 'const late = variablesWritten(source.nodes.slice(place, -1))',
    tests: untouched,
  },
];
