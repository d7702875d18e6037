// Steps whose inputs stream in: the device brings those of one beside the kernels of the step before. What only the
// simulated device can show (`.ci/run simulate`) is read from its log.
import { describe, expect, it } from 'vitest';
import { syntheticDataSet } from '../../lib/data/index.ts';
import type { BatchOrder, ImageSet, StreamedSet } from '../../lib/data/types.ts';
import { Graph } from '../../lib/graph/index.ts';
import { gather } from '../../lib/ops/index.ts';
import { compile, Device, variablesOf } from '../../lib/program.ts';
import { Trainer } from '../../lib/train/index.ts';
import { presence } from '../support/devices.ts';
import { streamedOf } from '../train/streamed.ts';
import { tinyModel, tinyRun } from '../train/tiny.ts';
import { close, imageBytes, inputsOf, start } from './fed-step.ts';
import { type Hold, type LoggedStep, SimulatedDevice, stepsIn } from './log.ts';

const simulated = new SimulatedDevice();
const steps = 8;
const inputs = Array.from({ length: steps }, (_, step) => inputsOf(step));

describe.each(
  await Promise.all(['reference', 'cpu', 'cuda'].map(async (name) => ({ name, ...(await presence(name)) }))),
)('on $name', ({ name, available, reason }) => {
  it('steps that are enqueued at once give the bits of steps that are awaited', async ({ skip }) => {
    if (!available) return skip(reason);
    await using device = await opened(name);
    const [awaited, atOnce] = [await start(device.device), await start(device.device)];
    for (const input of inputs) await awaited.program.step({ ...input });
    const [, filter] = await Promise.all([
      Promise.all(inputs.map((input) => atOnce.program.step({ ...input }))),
      atOnce.state.read('filter'), // waits for all steps before it
    ]);
    expect(filter).toEqual(await awaited.state.read('filter'));
    for (const value of ['crops', 'loss', 'matrix', 'step'])
      expect(await atOnce.program.fetch(value), value).toEqual(await awaited.program.fetch(value));
    close(awaited, atOnce);
  });

  it('an error of a step rejects that step, whatever runs beside it', async ({ skip }) => {
    if (!available) return skip(reason);
    await using device = await opened(name);
    const graph = new Graph();
    const table = graph.variable('table', { shape: [4], initial: Float32Array.of(0, 10, 20, 30) });
    graph.name(gather(table, graph.input('index', { shape: [1], dtype: 'int32' })), 'found');
    const state = await device.device.createState(variablesOf(graph));
    const program = await compile(graph, { device: device.device, state, keep: ['found'] });
    const indices = [0, 1, 52, 53, 2, 3, 56, 1];
    const results = await Promise.allSettled(indices.map((index) => program.step({ index: Int32Array.of(index) })));
    const errors = results.map((result) => (result.status === 'rejected' ? (result.reason as Error).message : ''));
    expect(errors).toEqual(indices.map((index) => (index < 4 ? '' : expect.stringMatching(`gather.*${index}`))));
    expect(await program.fetch('found')).toEqual(Float32Array.of(10)); // nothing is left of the errors
  });
});

it('brings the images of a step beside the step before, and has no more than two in flight', async ({ skip }) => {
  if (!simulated.isThere) return skip('the device cuda is not the simulation');
  await using device = await opened('cuda');
  const started = await start(device.device);
  const lines = simulated.logged('steps');
  const hold = simulated.hold('steps');
  hold.more();
  const all = inputs.map((input) => started.program.step({ ...input }));
  hold.over();
  await Promise.all(all);
  const found = stepsIn(await lines(), imageBytes);
  close(started);
  expect(found).toHaveLength(steps);
  expectOverlap(found);
});

it('trains and evaluates sets that stream so', async ({ skip }) => {
  if (!simulated.isThere) return skip('the device cuda is not the simulation');
  const [batchSize, training, evaluation] = [12, 8, 6];
  const data = syntheticDataSet({
    ...{ size: [48, 48], numClasses: 2 },
    ...{ trainCount: batchSize * training, testCount: batchSize * evaluation },
  });
  const { augment: _, ...options } = tinyRun({ model: tinyModel(), batchSize, epochs: 1, stepsPerCall: training });
  let hold: Hold | undefined;
  const watched = (resident: ImageSet): StreamedSet => {
    const set = streamedOf(resident);
    async function* batches(order: BatchOrder) {
      let left = set.count / batchSize;
      hold?.more();
      for await (const batch of set.batches(order)) {
        left -= 1;
        const isLast = left === 0;
        setImmediate(() => hold?.asked(isLast)); // when it has been
        yield batch;
      }
    }
    return { ...set, batches };
  };
  await using trainer = await Trainer.create({
    ...{ ...options, device: 'cuda', normalisation: { mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2] } },
    data: { ...data, train: watched(data.train), test: watched(data.test) },
  });
  const lines = simulated.logged('training');
  hold = simulated.hold('training');
  await trainer.fit();
  const found = stepsIn(await lines(), batchSize * 48 * 48 * 3);
  expect(found).toHaveLength(training + evaluation);
  expectOverlap(found.slice(0, training));
  expectOverlap(found.slice(training));
});

/** But for the first: the device may look for the second before JavaScript has enqueued it. */
function expectOverlap(found: readonly LoggedStep[]): void {
  for (const [i, { begins }] of found.entries()) {
    if (i >= 2) expect(begins, `step ${i} begins beside step ${i - 1}`).toBeLessThan(found[i - 1]?.awaited as number);
    if (i >= 2)
      expect(begins, `step ${i} begins behind step ${i - 2}`).toBeGreaterThan(found[i - 2]?.awaited as number);
  }
}

async function opened(name: string) {
  const device = await Device.open(name, { threads: 1 });
  return { device, [Symbol.asyncDispose]: () => device.close() };
}
