// 50 steps on real images: our losses stay within the spread of PyTorch's own runs (see generate.py, `curve`).
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Device } from '../../lib/program.ts';
import { curveImages, golden } from './images.ts';
import { type Recipe, startTraining } from './training.ts';

type Losses = readonly number[];

interface Curves {
  readonly float64: Losses;
  readonly float32: readonly Losses[];
  readonly bfloat16: readonly Losses[];
}

type Golden = { readonly recipe: Recipe; readonly sha256: string } & Readonly<Record<string, Curves>>;

const truth = golden<Golden>('loss-curve');
let cpu: Device;
let images: Uint8Array;

beforeAll(async () => {
  cpu = await Device.open('cpu', { threads: 2 });
  images = await curveImages();
});
afterAll(() => cpu.close());

it('reads the images that PyTorch saw', () => {
  expect(createHash('sha256').update(images).digest('hex')).toBe(truth.sha256);
});

describe.each(['cifar-resnet20', 'cifar-resnet20-preact'])('%s', (name) => {
  it('float32', async () => {
    const { float64, float32 } = truth[name] as Curves;
    expectWithin(await train(name, 'float32'), [float64, ...float32]);
  });

  it('bfloat16', async ({ skip }) => {
    if (!cpu.features.has('dtype:bfloat16')) skip('this processor has no bfloat16 instructions');
    const { float64, float32, bfloat16 } = truth[name] as Curves;
    expectWithin(await train(name, 'bfloat16'), [float64, ...float32, ...bfloat16]);
  });
});

async function train(name: string, precision: 'float32' | 'bfloat16'): Promise<Losses> {
  const { recipe } = truth;
  const { batch, steps } = recipe;
  const training = await startTraining(cpu, name, precision, recipe);
  const pixels = 32 * 32 * 3;
  const labels = Int32Array.from(images.subarray(batch * steps * pixels));
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    const rows = images.slice(step * batch * pixels, (step + 1) * batch * pixels);
    losses.push(await training.step(rows, labels.slice(step * batch, (step + 1) * batch)));
  }
  training.close();
  return losses;
}

const window = 10;

/**
 * The mean loss of every ten steps lies between the lowest and the highest of the runs, widened by their distance:
 * rounding is chaos after some steps, and the runs are few.
 */
function expectWithin(losses: Losses, runs: readonly Losses[]): void {
  for (let begin = 0; begin < losses.length; begin += window) {
    const mean = (run: Losses) => run.slice(begin, begin + window).reduce((sum, loss) => sum + loss, 0) / window;
    const means = runs.map(mean);
    const [low, high] = [Math.min(...means), Math.max(...means)];
    const spread = high - low;
    const what = `steps ${begin} to ${begin + window - 1}, PyTorch ${low} to ${high}`;
    expect(mean(losses), what).toBeGreaterThanOrEqual(low - spread);
    expect(mean(losses), what).toBeLessThanOrEqual(high + spread);
  }
}
