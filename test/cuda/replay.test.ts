// A step is captured once and replayed from the third on. What differs between two steps, the learning rate, the
// images, the labels and the seed, must come from device memory: eight steps beside the reference.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { HostArray } from '../../lib/graph/index.ts';
import { Device } from '../../lib/program.ts';
import { presence } from '../support/devices.ts';
import { close, inputsOf, type Started, stackedInputs, start } from './fed-step.ts';

const { available, reason } = await presence('cuda');
const steps = 8;

let reference: Device;
let cuda: Device | undefined;
beforeAll(async () => {
  reference = await Device.open('reference');
  if (available) cuda = await Device.open('cuda:0');
});
afterAll(async () => {
  await reference.close();
  await cuda?.close();
});

const watched = ['crops', 'loss', 'filter', 'matrix', 'step'] as const;

/** Largest difference of any value, relative to the largest magnitude. */
function difference(found: HostArray, expected: HostArray): number {
  const truth = Array.from(expected);
  const errors = truth.map((x, i) => Math.abs((found[i] as number) - x));
  return errors.reduce((most, error) => Math.max(most, error), 0) / Math.max(1e-30, ...truth.map(Math.abs));
}

// Both sum in float32, in other orders; eight steps at these learning rates carry 1e-7 no further than to 1e-5.
async function expectSame(found: Started, expected: Started, when: string): Promise<void> {
  for (const name of watched) {
    const error = difference(await found.program.fetch(name), await expected.program.fetch(name));
    expect(error, `${name} ${when}`).toBeLessThan(1e-5);
  }
}

it('replays with other learning rates, images, labels and seeds', async ({ skip }) => {
  if (!cuda) return skip(reason ?? 'there is no CUDA back end');
  const [found, expected] = [await start(cuda), await start(reference)];
  for (let step = 0; step < steps; ++step) {
    await found.program.step({ ...inputsOf(step) });
    await expected.program.step({ ...inputsOf(step) });
    await expectSame(found, expected, `after step ${step}`);
  }
  close(found, expected);
});

it('replays without JavaScript in between', async ({ skip }) => {
  if (!cuda) return skip(reason ?? 'there is no CUDA back end');
  const [found, expected] = [await start(cuda), await start(reference)];
  const stacked = { ...stackedInputs(steps) };
  await found.program.run(steps, stacked);
  await expected.program.run(steps, stacked);
  await expectSame(found, expected, `after ${steps} steps`);
  close(found, expected);
});
