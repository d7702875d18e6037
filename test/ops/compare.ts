// One case of an op on a device, against the reference in float64: integers exactly, random numbers within the case's
// tolerance, on memory that held NaN and in place.
import { expect } from 'vitest';
import type { HostArray } from '../../lib/graph/index.ts';
import type { Device } from '../../lib/program.ts';
import { toBfloat16 } from '../support/bfloat16.ts';
import { toFloat16 } from '../support/float16.ts';
import { Random } from '../support/random.ts';
import { type Dtype, drawNumbers, type Numbers, type OpCase } from './operands.ts';
import { type Result, runCase } from './run-case.ts';

export interface Devices {
  readonly device: Device;
  readonly reference: Device;
  /** What the device rounds to half precision although docs/ops.md has it in float32. */
  readonly rounds?: (opCase: OpCase) => 'bias' | 'sum' | 'gradient' | undefined;
}

// Winograd weighs and adds inputs before it multiplies: its rounding is that of larger numbers, on integers as well.
const winogradTolerance = 2e-5;
// A result is rounded to 8 or 11 bits; where the float32 result stands at the border, perhaps to the neighbour.
const steps: Readonly<Record<Dtype, number>> = { float32: 0, float64: 0, bfloat16: 2 ** -7, float16: 2 ** -10 };
// Numbers of float16 below 2^-14 keep fewer bits: they are this far apart.
const smallestHalf = 2 ** -24;
const rounding = { float32: Math.fround, float64: Math.fround, bfloat16: toBfloat16, float16: toFloat16 } as const;

export function titled(list: readonly OpCase[]): [string, OpCase][] {
  return list.map((opCase) => [opCase.title, opCase]);
}

export async function compareCase(devices: Devices, opCase: OpCase, dtype: Dtype): Promise<void> {
  await compareOn(devices, opCase, dtype, false);
  if (opCase.exact) await compareOn(devices, opCase, dtype, true);
}

async function compareOn(
  { device, reference, rounds }: Devices,
  opCase: OpCase,
  dtype: Dtype,
  whole: boolean,
): Promise<void> {
  const random = new Random(opCase.title);
  const numbers = [0, 1].map(() => drawNumbers(opCase, random, whole, dtype)) as [Numbers, Numbers];
  const truth = await runCase(reference, opCase, 'float64', numbers, 'poisoned');
  for (const memory of ['poisoned', 'in place'] as const) {
    const result = await runCase(device, opCase, dtype, numbers, memory);
    for (const { outputs } of opCase.nodes) {
      for (const name of Object.keys(outputs))
        compareOutput(name, opCase, { dtype, whole, rounds: rounds?.(opCase) }, truth, result);
    }
  }
}

interface Kind {
  readonly dtype: Dtype;
  readonly whole: boolean;
  readonly rounds: 'bias' | 'sum' | 'gradient' | undefined;
}

function compareOutput(
  name: string,
  { nodes, tolerance }: OpCase,
  { dtype, whole, rounds }: Kind,
  truth: Result,
  { outputs, implementations }: Result,
): void {
  const winograd = implementations.some((implementation) => implementation.startsWith('winograd'));
  const step = steps[dtype];
  const coarse = step > 0 ? rounds : undefined;
  const exact = (whole || tolerance === 0) && !winograd && !coarse;
  const rounded = step > 0 && nodes.some((node) => node.outputs[name]?.kind === 'F');
  const round = rounded && exact ? rounding[dtype] : Math.fround;
  const expected = numbersOf(truth.outputs.get(name)).map(round);
  // A bias is no larger than the output that it is part of: half a step of it is half a step of the output. A sum before
  // its residual, which has a bias as well, may be twice as large.
  const halfSteps = coarse === 'bias' ? 1 : coarse === 'sum' ? 3 : 0;
  const absolute = exact ? 0 : winograd ? winogradTolerance : Math.max(tolerance, (halfSteps * step) / 2);
  expectClose(name, numbersOf(outputs.get(name)), expected, {
    absolute,
    relative: (rounded || coarse) && !exact ? step : 0,
    least: dtype === 'float16' && rounded && !exact ? smallestHalf : 0,
  });
}

function numbersOf(array: HostArray | undefined): number[] {
  return Array.from(array as HostArray);
}

interface Bound {
  /** In units of the largest magnitude of the output. */
  readonly absolute: number;
  /** In units of the element. */
  readonly relative: number;
  /** Added to both. */
  readonly least: number;
}

function expectClose(name: string, found: readonly number[], expected: readonly number[], bound: Bound): void {
  expect(found.length).toBe(expected.length);
  const largest = expected.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  const worst = { excess: 0, text: '' };
  expected.forEach((truth, i) => {
    const value = found[i] as number;
    if (Object.is(truth, value) || truth === value || (Number.isNaN(truth) && Number.isNaN(value))) return;
    const allowed = bound.absolute * largest + bound.relative * Math.abs(truth) + bound.least;
    const error = Math.abs(value - truth);
    if (error <= allowed || error - allowed <= worst.excess) return;
    Object.assign(worst, {
      excess: Number.isNaN(error) ? Number.POSITIVE_INFINITY : error - allowed,
      text: `${name}[${i}] is ${value}, expected ${truth}: off by ${error}, allowed ${allowed}`,
    });
  });
  expect(worst.text).toBe('');
}
