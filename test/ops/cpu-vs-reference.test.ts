// Every kernel of the CPU back end against the reference in float64: integers exactly, random numbers within the case's
// tolerance, in float32 and bfloat16, on memory that held NaN.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostArray } from '../../lib/graph/index.ts';
import { Device } from '../../lib/program.ts';
import { toBfloat16 } from '../support/bfloat16.ts';
import { Random } from '../support/random.ts';
import { cases } from './cases.ts';
import { type Dtype, drawNumbers, type Numbers, type OpCase } from './operands.ts';
import { type Result, runCase } from './run-case.ts';

let reference: Device;
let cpu: Device;

beforeAll(async () => {
  reference = await Device.open('reference');
  cpu = await Device.open('cpu', { threads: 2 });
});
afterAll(async () => {
  await reference.close();
  await cpu.close();
});

// Winograd weighs and adds inputs before it multiplies: its rounding is that of larger numbers, on integers as well.
const winogradTolerance = 2e-5;
// A result is rounded to 8 bits; where the float32 result stands at the border, perhaps to the neighbour.
const bfloat16Step = 2 ** -7;

it('has cases for every op that the devices offer', () => {
  const tested = new Set(cases.flatMap(({ nodes }) => nodes.map(({ op }) => `op:${op}`)));
  const offered = [...reference.features, ...cpu.features].filter((feature) => feature.startsWith('op:'));
  expect(offered.filter((op) => !tested.has(op))).toEqual([]);
});

describe('cpu against reference, float32', () => {
  it.each(titled(cases))('%s', (_, opCase) => compare(opCase, 'float32'));
});

describe('cpu against reference, bfloat16', () => {
  it.for(titled(cases.filter(usesF)))('%s', async ([, opCase], { skip }) => {
    if (!cpu.features.has('dtype:bfloat16')) skip('this processor has no bfloat16 instructions');
    await compare(opCase, 'bfloat16');
  });
});

function titled(list: readonly OpCase[]): [string, OpCase][] {
  return list.map((opCase) => [opCase.title, opCase]);
}

async function compare(opCase: OpCase, dtype: Dtype): Promise<void> {
  await compareOn(opCase, dtype, false);
  if (opCase.exact) await compareOn(opCase, dtype, true);
}

async function compareOn(opCase: OpCase, dtype: Dtype, whole: boolean): Promise<void> {
  const random = new Random(opCase.title);
  const numbers = [0, 1].map(() => drawNumbers(opCase, random, whole, dtype)) as [Numbers, Numbers];
  const truth = await runCase(reference, opCase, 'float64', numbers, 'poisoned');
  for (const memory of ['poisoned', 'in place'] as const) {
    const result = await runCase(cpu, opCase, dtype, numbers, memory);
    for (const { outputs } of opCase.nodes) {
      for (const name of Object.keys(outputs)) compareOutput(name, opCase, dtype, whole, truth, result);
    }
  }
}

function compareOutput(
  name: string,
  { nodes, tolerance }: OpCase,
  dtype: Dtype,
  whole: boolean,
  truth: Result,
  { outputs, implementations }: Result,
): void {
  const winograd = implementations.some((implementation) => implementation.startsWith('winograd'));
  const exact = (whole || tolerance === 0) && !winograd;
  const rounded = dtype === 'bfloat16' && nodes.some((node) => node.outputs[name]?.kind === 'F');
  const round = rounded && exact ? toBfloat16 : Math.fround;
  const expected = numbersOf(truth.outputs.get(name)).map(round);
  const absolute = exact ? 0 : winograd ? winogradTolerance : tolerance;
  expectClose(name, numbersOf(outputs.get(name)), expected, {
    absolute,
    relative: rounded && !exact ? bfloat16Step : 0,
  });
}

function usesF({ inputs, nodes }: OpCase): boolean {
  return [inputs, ...nodes.map(({ outputs }) => outputs)].some((o) =>
    Object.values(o).some(({ kind }) => kind === 'F'),
  );
}

function numbersOf(array: HostArray | undefined): number[] {
  return Array.from(array as HostArray);
}

interface Bound {
  /** In units of the largest magnitude of the output. */
  readonly absolute: number;
  /** In units of the element. */
  readonly relative: number;
}

function expectClose(name: string, found: readonly number[], expected: readonly number[], bound: Bound): void {
  expect(found.length).toBe(expected.length);
  const largest = expected.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  const worst = { excess: 0, text: '' };
  expected.forEach((truth, i) => {
    const value = found[i] as number;
    if (Object.is(truth, value) || truth === value || (Number.isNaN(truth) && Number.isNaN(value))) return;
    const allowed = bound.absolute * largest + bound.relative * Math.abs(truth);
    const error = Math.abs(value - truth);
    if (error <= allowed || error - allowed <= worst.excess) return;
    Object.assign(worst, {
      excess: Number.isNaN(error) ? Number.POSITIVE_INFINITY : error - allowed,
      text: `${name}[${i}] is ${value}, expected ${truth}: off by ${error}, allowed ${allowed}`,
    });
  });
  expect(worst.text).toBe('');
}
