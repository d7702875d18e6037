// A step that does not fit: refused before anything of it is allocated, with the largest batch that does.
import { describe, expect, it } from 'vitest';
import { cifarResNet } from '../../lib/models/index.ts';
import { sgd } from '../../lib/optim/index.ts';
import { compile, Device, planMemory, variablesOf } from '../../lib/program.ts';
import { largestBatch } from '../../lib/train/memory.ts';
import { trainingGraph } from '../../lib/train/step.ts';
import { tinyData } from './tiny.ts';

describe('largestBatch', () => {
  const needing = (bytesOf: (batch: number) => number, availableBytes: number) => (batch: number) =>
    Promise.resolve({ bytes: bytesOf(batch), availableBytes });

  it.each([1, 2, 3, 7, 63, 64, 99])('finds %i, however the need grows', async (largest) => {
    expect(
      await largestBatch(
        needing((batch) => 1000 + 10 * batch, 1000 + 10 * largest),
        100,
      ),
    ).toBe(largest);
    expect(
      await largestBatch(
        needing((batch) => batch ** 2, largest ** 2),
        100,
      ),
    ).toBe(largest);
  });

  it('is 0 where not even one picture fits', async () => {
    expect(
      await largestBatch(
        needing((batch) => 1000 + batch, 1000),
        64,
      ),
    ).toBe(0);
  });
});

describe.each(['cpu', 'reference'])('planMemory on %s', (name) => {
  it('tells what compile() takes, and takes nothing', async () => {
    const device = await Device.open(name);
    const set = tinyData().train;
    const normalisation = { mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2] };
    const graph = trainingGraph({
      model: cifarResNet({ depth: 8 }),
      batchSize: 4,
      ampDtype: 'float32',
      normalisation,
      set,
      optimizer: sgd({ momentum: 0.9 }),
      augment: { padding: 0, flip: false },
      smoothing: 0,
      seed: 0,
    });
    const state = await device.createState(variablesOf(graph));
    const before = device.memory().bytes;
    const { bytes, availableBytes } = await planMemory(graph, { device, state });
    expect(device.memory().bytes).toBe(before);
    expect(availableBytes).toBeGreaterThan(bytes);
    expect(availableBytes === Number.POSITIVE_INFINITY).toBe(name === 'reference');
    const program = await compile(graph, { device, state });
    expect(device.memory().bytes - before).toBe(bytes);
    program.close();
    await device.close();
  });
});
