// The reference against itself: in half precision, and what the CPU back end lacks in float32, against float64.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph } from '../../lib/graph/index.ts';
import { cast, unscale, updateLossScale } from '../../lib/ops/index.ts';
import { compile, Device, variablesOf } from '../../lib/program.ts';
import { toFloat16 } from '../support/float16.ts';
import { Random } from '../support/random.ts';
import { cases } from './cases.ts';
import { compareCase, titled } from './compare.ts';
import { lossScaleCases } from './loss-scale-cases.ts';
import { usesF } from './operands.ts';

let reference: Device;
beforeAll(async () => {
  reference = await Device.open('reference');
});
afterAll(() => reference.close());

describe.each(['bfloat16', 'float16'] as const)('the reference in %s', (dtype) => {
  it.each(titled(cases.filter(usesF)))('%s', (_, opCase) =>
    compareCase({ device: reference, reference }, opCase, dtype),
  );
});

describe('the reference in float32', () => {
  it.each(titled(lossScaleCases))('%s', (_, opCase) =>
    compareCase({ device: reference, reference }, opCase, 'float32'),
  );
});

// In float64, against which the cases above are compared, neither would be infinite.
it('counts a quotient that overflows as not finite, and lets no scale grow to infinity', async () => {
  const graph = new Graph();
  const variable = (name: string, initial: Float32Array | Int32Array, dtype: 'float32' | 'int32' = 'float32') =>
    graph.variable(name, { shape: [1], dtype, initial });
  const scale = variable('scale', Float32Array.of(2 ** 127));
  const goodSteps = variable('good', Int32Array.of(4), 'int32');
  const { finite } = unscale([variable('g', Float32Array.of(2 ** 127))], variable('small', Float32Array.of(0.25)));
  graph.name(finite, 'finite');
  const one = variable('one', Int32Array.of(1), 'int32');
  updateLossScale(scale, one, { goodSteps, growth: 2, backoff: 0.5, interval: 5 });
  const state = await reference.createState(variablesOf(graph));
  const program = await compile(graph, { device: reference, state, keep: ['finite'] });
  await program.step();
  expect([...(await program.fetch('finite'))]).toEqual([0]);
  expect([...(await state.read('scale')), ...(await state.read('good'))]).toEqual([2 ** 127, 0]);
});

it('rounds float32 to the nearest float16, subnormal ones and infinity included', async () => {
  const random = new Random('float16');
  const near = [1, 0.5, 2 ** -14, 2 ** -15, 2 ** -24, 2 ** -25, 65504, 65520];
  const numbers = Float32Array.from({ length: 4096 }, (_, i) =>
    i < 64 ? (near[i % 8] as number) * (1 + ((i >> 3) - 4) * 2 ** -12) : random.normal() * 2 ** random.integer(-28, 18),
  );
  const graph = new Graph();
  const x = graph.input('x', { shape: [4096] });
  graph.name(cast(cast(x, 'float16'), 'float32'), 'rounded');
  const program = await compile(graph, {
    device: reference,
    state: await reference.createState([]),
    keep: ['rounded'],
  });
  await program.step({ x: numbers });
  expect(Array.from(await program.fetch('rounded'))).toEqual(Array.from(numbers, toFloat16));
});
