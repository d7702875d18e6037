// The reference against itself: in half precision, and what the CPU back end lacks in float32, against float64.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph, type Value } from '../../lib/graph/index.ts';
import { cast, increment, restore, snapshot, unscale, updateLossScale } from '../../lib/ops/index.ts';
import { compile, Device, variablesOf } from '../../lib/program.ts';
import { toFloat16 } from '../support/float16.ts';
import { Random } from '../support/random.ts';
import { cases } from './cases.ts';
import { compareCase, titled } from './compare.ts';
import { lossScaleCases } from './loss-scale-cases.ts';
import { type OpCase, usesF } from './operands.ts';

let reference: Device;
beforeAll(async () => {
  reference = await Device.open('reference');
});
afterAll(() => reference.close());

/** What a convolution reads through its prologue is rounded to the half type, as if it had been stored. */
const rounds = ({ nodes }: OpCase) => (nodes.some(({ op }) => op.startsWith('scaled_')) ? 'sum' : undefined);

describe.each(['bfloat16', 'float16'] as const)('the reference in %s', (dtype) => {
  it.each(titled(cases.filter(usesF)))('%s', (_, opCase) =>
    compareCase({ device: reference, reference, rounds }, opCase, dtype),
  );
});

describe('the reference in float32', () => {
  it.each(titled(lossScaleCases))('%s', (_, opCase) =>
    compareCase({ device: reference, reference }, opCase, 'float32'),
  );
});

function counter(graph: Graph, name: string, value: number): Value {
  return graph.variable(name, { shape: [1], dtype: 'int32', initial: Int32Array.of(value) });
}

// The cases above compare the reference with itself; what loss scaling means is said here by hand.
describe('loss scaling on the reference', () => {
  const none = { at: -1, bad: 0, expected: 1 };
  const spoilt = [0, 1, 2].flatMap((at) =>
    [Number.NaN, Number.NEGATIVE_INFINITY].map((bad) => ({ at, bad, expected: 0 })),
  );

  it.each([none, ...spoilt])('divides gradients, and finds $bad in gradient $at', async ({ at, bad, expected }) => {
    const graph = new Graph();
    const numbers = [1, 2, 3].map((length, i) =>
      Float32Array.from({ length }, (_, j) => (i === at && j === i ? bad : j - 8)),
    );
    const gradients = numbers.map((initial, i) => graph.variable(`g${i}`, { shape: [initial.length], initial }));
    const scale = graph.variable('scale', { shape: [1], initial: Float32Array.of(4) });
    const { gradients: quotients, finite } = unscale(gradients, scale);
    quotients.forEach((quotient, i) => void graph.name(quotient, `q${i}`));
    graph.name(finite, 'finite');
    const state = await reference.createState(variablesOf(graph));
    const program = await compile(graph, { device: reference, state, keep: ['q0', 'q1', 'q2', 'finite'] });
    await program.step();
    expect(await program.fetch('finite')).toEqual(Int32Array.of(expected));
    for (const [i, given] of numbers.entries()) expect(await program.fetch(`q${i}`)).toEqual(given.map((g) => g / 4));
  });

  it.each([
    { finite: 0, before: [65536, 1234], after: [32768, 0] },
    { finite: 1, before: [65536, 1998], after: [65536, 1999] },
    { finite: 1, before: [65536, 1999], after: [131072, 0] },
  ])('takes scale and good steps from $before to $after where finite is $finite', async ({ finite, before, after }) => {
    const graph = new Graph();
    const scale = graph.variable('scale', { shape: [1], initial: Float32Array.of(before[0] as number) });
    const goodSteps = counter(graph, 'good', before[1] as number);
    updateLossScale(scale, counter(graph, 'finite', finite), { goodSteps, growth: 2, backoff: 0.5, interval: 2000 });
    const state = await reference.createState(variablesOf(graph));
    await (await compile(graph, { device: reference, state })).step();
    expect([...(await state.read('scale')), ...(await state.read('good'))]).toEqual(after);
  });

  it.each([
    { keep: 0, after: 7 },
    { keep: 1, after: 8 },
  ])('leaves $after of a 7 that the step counted up, where keep is $keep', async ({ keep, after }) => {
    const graph = new Graph();
    const count = counter(graph, 'count', 7);
    const copies = snapshot([count]);
    increment(count);
    restore([count], copies, counter(graph, 'keep', keep));
    const state = await reference.createState(variablesOf(graph));
    await (await compile(graph, { device: reference, state })).step();
    expect([...(await state.read('count'))]).toEqual([after]);
  });
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
