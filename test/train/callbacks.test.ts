import { afterEach, describe, expect, it, vi } from 'vitest';
import { EarlyStopping, ModelCheckpoint } from '../../lib/train/callbacks.ts';
import type { EpochMetrics } from '../../lib/train/metrics.ts';
import { describeEpoch, describePreparation, describeProgress, ProgressLine } from '../../lib/train/progress.ts';

function epoch(number: number, testLoss: number): EpochMetrics {
  const rest = { trainLoss: 1, trainAccuracy: 0.5, testAccuracy: 1 - testLoss, imagesPerSecond: 10, seconds: 1 };
  return { epoch: number, step: 10 * number, testLoss, ...rest };
}

function control() {
  const saved: string[] = [];
  return {
    epochs: 9,
    stopTraining: false,
    saved,
    predict: async () => [],
    save: async (file: string) => void saved.push(file),
  };
}

it('EarlyStopping stops after `patience` epochs without improvement', () => {
  const stopping = new EarlyStopping({ patience: 2, minDelta: 0.05 });
  const run = control();
  const stopped = [0.9, 0.8, 0.79, 0.7, 0.69, 0.68].map((loss, i) => {
    stopping.onEpochEnd(epoch(i + 1, loss), run);
    return run.stopTraining;
  });
  expect(stopped).toEqual([false, false, false, false, false, true]);
});

it('EarlyStopping knows that accuracy is to rise', () => {
  const stopping = new EarlyStopping({ monitor: 'testAccuracy' });
  const run = control();
  stopping.onEpochEnd(epoch(1, 0.5), run);
  stopping.onEpochEnd(epoch(2, 0.4), run);
  expect(run.stopTraining).toBe(false);
  stopping.onEpochEnd(epoch(3, 0.45), run);
  expect(run.stopTraining).toBe(true);
});

it('EarlyStopping goes on where its state was saved', () => {
  const first = new EarlyStopping({ patience: 2 });
  first.onEpochEnd(epoch(1, 0.5), control());
  first.onEpochEnd(epoch(2, 0.6), control());
  const second = new EarlyStopping({ patience: 2 });
  second.restore(JSON.parse(JSON.stringify(first.state())));
  const run = control();
  second.onEpochEnd(epoch(3, 0.55), run);
  expect(run.stopTraining).toBe(true);
});

it.each([-1, 1.5, Number.NaN])('EarlyStopping refuses patience %s', (patience) => {
  expect(() => new EarlyStopping({ patience })).toThrow(`patience is ${patience}`);
});

it('ModelCheckpoint saves each epoch, or only the better ones', async () => {
  const [all, best] = [control(), control()];
  const every = new ModelCheckpoint({ filepath: 'm-{epoch}.safetensors' });
  const better = new ModelCheckpoint({ filepath: 'best-{epoch}.safetensors', saveBestOnly: true });
  for (const [i, loss] of [0.5, 0.6, 0.4].entries()) {
    await every.onEpochEnd(epoch(i + 1, loss), all);
    await better.onEpochEnd(epoch(i + 1, loss), best);
  }
  expect(all.saved).toEqual(['m-1.safetensors', 'm-2.safetensors', 'm-3.safetensors']);
  expect(best.saved).toEqual(['best-1.safetensors', 'best-3.safetensors']);
});

const progress = {
  ...{ epoch: 2, epochs: 15, step: 93, stepOfEpoch: 31, stepsPerEpoch: 62, loss: 1.23456, accuracy: 0.5432 },
  ...{ imagesPerSecond: 1234.5, memoryBytes: 134_000_000, remainingSeconds: 83, losses: [1.2] },
};

it('says epoch, loss, accuracy, images per second, memory and remaining time', () => {
  expect(describeProgress(progress)).toBe(
    'epoch 2/15  step 31/62  loss 1.2346  accuracy 54.3 %  1235 images/s  134 MB  1 min 23 s left',
  );
  expect(describeEpoch(epoch(3, 0.25), 15)).toBe(
    'epoch  3/15  loss 1.0000  accuracy 50.0 %  test loss 0.2500  test accuracy 75.0 %  10 images/s  1 s',
  );
});

it('rewrites its line in place on a terminal only, and never wider than it', async () => {
  const written = { terminal: [] as string[], file: [] as string[] };
  const terminal = new ProgressLine({ write: (text) => written.terminal.push(text), isTTY: true, columns: 40 });
  const file = new ProgressLine({ write: (text) => written.file.push(text) });
  await new Promise((resolve) => setTimeout(resolve, 120));
  for (const line of [terminal, file]) {
    line.onStepsEnd(progress);
    line.onEpochEnd(epoch(2, 0.25), { epochs: 15 });
    line.onTrainEnd();
  }
  const shown = describeProgress(progress).slice(0, 39);
  expect(written.terminal.join('')).toBe(`\r\x1b[K${shown}\r\x1b[K${describeEpoch(epoch(2, 0.25), 15)}\n`);
  expect(written.file.join('')).toBe(`${describeEpoch(epoch(2, 0.25), 15)}\n`);
});

describe('before the first step', () => {
  afterEach(() => vi.useRealTimers());

  it.each([
    { isTTY: true, expected: '\r\x1b[Kpreparing (1 s)\r\x1b[Kpreparing (2 s)\r\x1b[K' },
    { isTTY: false, expected: '' },
  ])('says what it waits for, terminal: $isTTY', async ({ isTTY, expected }) => {
    vi.useFakeTimers();
    const written: string[] = [];
    const line = new ProgressLine({ write: (text) => written.push(text), isTTY });
    const work = line.during('preparing', new Promise((resolve) => setTimeout(() => resolve(7), 2500)));
    await vi.advanceTimersByTimeAsync(2500);
    expect(await work).toBe(7);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(written.join('')).toBe(expected);
  });

  it('stops where it fails', async () => {
    vi.useFakeTimers();
    const written: string[] = [];
    const line = new ProgressLine({ write: (text) => written.push(text) });
    const failing = line.during(
      'preparing',
      new Promise((_, reject) => setTimeout(() => reject(new Error('no')), 25_000)),
    );
    await Promise.all([expect(failing).rejects.toThrow('no'), vi.advanceTimersByTimeAsync(90_000)]);
    expect(written).toEqual(['preparing (10 s)\n', 'preparing (20 s)\n']);
  });

  it('tells where something is measured', () => {
    expect(describePreparation({ name: 'cpu', features: new Set() })).toBe('preparing the step on cpu');
    const cuda = { name: 'cuda:0', features: new Set(['measures']) };
    expect(describePreparation(cuda)).toMatch(/^preparing the step on cuda:0; what is fastest is measured once/);
  });
});
