// Sigmoid cross entropy against PyTorch's numbers, and its ignored and wrong labels.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph, gradient } from '../../lib/graph/index.ts';
import { sigmoidCrossEntropy, softmaxCrossEntropy } from '../../lib/ops/index.ts';
import { compile, Device, variablesOf } from '../../lib/program.ts';
import { presence } from '../support/devices.ts';

interface Golden {
  readonly shape: readonly [number, number];
  readonly smoothing: number;
  readonly logits: readonly number[];
  readonly targets?: readonly number[];
  readonly labels?: readonly number[];
  readonly loss: number;
  readonly gradient: readonly number[];
}

const goldens: readonly Golden[] = JSON.parse(
  readFileSync(new URL('../goldens/sigmoid-cross-entropy.json', import.meta.url), 'utf8'),
).content;

describe.each([
  { name: 'reference', dtype: 'float64', digits: 12 },
  { name: 'cpu', dtype: 'float32', digits: 6 },
] as const)('sigmoid cross entropy on $name', ({ name, dtype, digits }) => {
  let device: Device;
  beforeAll(async () => {
    device = await Device.open(name, { threads: 1 });
  });
  afterAll(() => device.close());

  async function run({ shape, smoothing, logits, targets, labels }: Omit<Golden, 'loss' | 'gradient'>) {
    const graph = new Graph({ dtype, training: true });
    const x = graph.input('logits', { shape });
    const given = labels
      ? graph.input('targets', { shape: [shape[0]], dtype: 'int32' })
      : graph.input('targets', { shape });
    const loss = graph.name(sigmoidCrossEntropy(x, given, { smoothing }), 'loss');
    gradient(loss, [x]);
    const state = await device.createState(variablesOf(graph));
    const program = await compile(graph, { device, state, keep: ['loss', 'grad.logits'] });
    const Floats = dtype === 'float64' ? Float64Array : Float32Array;
    await program.step({
      logits: Floats.from(logits),
      targets: labels ? Int32Array.from(labels) : Floats.from(targets ?? []),
    });
    const found = {
      loss: (await program.fetch('loss'))[0] as number,
      gradient: [...(await program.fetch('grad.logits'))],
    };
    program.close();
    state.close();
    return found;
  }

  it.each(goldens)("is PyTorch's for $shape, smoothing $smoothing, labels $labels", async (golden) => {
    const found = await run(golden);
    expect(found.loss).toBeCloseTo(golden.loss, digits);
    golden.gradient.forEach((truth, i) => {
      expect(found.gradient[i]).toBeCloseTo(truth, digits);
    });
  });

  it('leaves rows of label -1 out of the mean', async () => {
    const logits = [1, -2, 0.5, 3, 9, -9];
    const rows = { shape: [3, 2] as const, smoothing: 0.1, logits };
    const two = await run({ ...rows, shape: [2, 2], logits: logits.slice(0, 4), labels: [1, 0] });
    const three = await run({ ...rows, labels: [1, 0, -1] });
    expect(three.loss).toBe(two.loss);
    expect(three.gradient).toEqual([...two.gradient, 0, 0]);
    expect(await run({ ...rows, labels: [-1, -1, -1] })).toEqual({ loss: 0, gradient: [0, 0, 0, 0, 0, 0] });
  });
});

const losses = { softmaxCrossEntropy, sigmoidCrossEntropy };

describe.each(
  await Promise.all(['reference', 'cpu', 'cuda'].map(async (name) => ({ name, ...(await presence(name)) }))),
)('a label that is none of the classes, on $name', ({ name, available, reason }) => {
  it.for(Object.entries(losses))('rejects the step of %s, and no other', async ([, lossOf], { skip }) => {
    if (!available) return skip(reason);
    const device = await Device.open(name);
    try {
      const graph = new Graph({ training: true });
      const labels = graph.input('labels', { shape: [3], dtype: 'int32' });
      const logits = graph.variable('logits', { shape: [3, 2], initial: Float32Array.of(1, 2, 3, 4, 5, 6) });
      const loss = graph.within('head', () => lossOf(logits, labels));
      gradient(loss, [logits]);
      graph.name(loss, 'loss');
      const state = await device.createState(variablesOf(graph));
      const program = await compile(graph, { device, state, keep: ['loss', 'grad.logits'] });
      const step = (...given: number[]) => program.step({ labels: Int32Array.from(given) });
      await step(0, 1, -1);
      const [value, slope] = [await program.fetch('loss'), await program.fetch('grad.logits')];
      for (const wrong of [99, 2, -2, 2 ** 31 - 1, -(2 ** 31)]) {
        await expect(step(0, wrong, -1)).rejects.toMatchObject({
          code: 'ERR_ARGUMENT',
          message: expect.stringMatching(
            `cross_entropy head: labels\\[1\\] is ${wrong}, but there are 2 classes; give 0 .. 1, or -1`,
          ),
        });
      }
      await step(0, 1, -1);
      expect([await program.fetch('loss'), await program.fetch('grad.logits')]).toEqual([value, slope]);
      expect(value[0]).toBeGreaterThan(0);
    } finally {
      await device.close();
    }
  });
});
