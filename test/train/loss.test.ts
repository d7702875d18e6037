// The loss of a training step: that of the logits and, by their weights, those of auxiliary heads.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Graph, type Value } from '../../lib/graph/index.ts';
import { Flatten, Linear, Module } from '../../lib/nn/index.ts';
import { compile, Device, variablesOf } from '../../lib/program.ts';
import { lossOf } from '../../lib/train/step.ts';

const classes = 3;
const labels = [2, 0];
const weights = { early: 0.3, late: 0.5 };

class TwoHeads extends Module {
  readonly flatten = new Flatten();
  readonly fc = new Linear(4, classes);
  readonly early = new Linear(4, classes);
  readonly late = new Linear(4, classes);

  override get auxiliary() {
    return weights;
  }

  override forward(x: Value): Value {
    const y = this.flatten.call(x);
    this.early.call(y);
    this.late.call(y);
    return this.fc.call(y);
  }
}

let device: Device;
beforeAll(async () => {
  device = await Device.open('reference');
});
afterAll(() => device.close());

/** Mean of -sum q log p, where q is 1 - s at the label and s / K more everywhere. */
function crossEntropy(logits: ArrayLike<number>, smoothing: number): number {
  const rows = labels.map((label, i) => {
    const row = Array.from({ length: classes }, (_, k) => logits[i * classes + k] as number);
    const whole = row.reduce((sum, x) => sum + Math.exp(x), 0);
    const wanted = row.map((_, k) => (k === label ? 1 - smoothing : 0) + smoothing / classes);
    return -row.reduce((sum, x, k) => sum + (wanted[k] as number) * Math.log(Math.exp(x) / whole), 0);
  });
  return rows.reduce((sum, x) => sum + x, 0) / rows.length;
}

it.each([0, 0.2])('weighs the heads, smoothing %f', async (smoothing) => {
  const graph = new Graph({ dtype: 'float64', training: true });
  const x = graph.input('x', { shape: [2, 4, 1, 1], format: 'activation' });
  const model = new TwoHeads();
  const logits = graph.name(model.call(x), 'logits');
  const target = graph.input('labels', { shape: [2], dtype: 'int32' });
  graph.name(lossOf(logits, target, model, smoothing), 'loss');
  const state = await device.createState(variablesOf(graph), { seed: 5 });
  const program = await compile(graph, { device, state, keep: ['logits', 'early', 'late', 'loss'] });
  await program.step({ x: Float64Array.of(0.5, -1, 2, 0.25, -0.5, 1.5, 1, -2), labels: Int32Array.from(labels) });
  const [main, early, late, loss] = [
    await program.fetch('logits'),
    await program.fetch('early'),
    await program.fetch('late'),
    await program.fetch('loss'),
  ].map((values) => values as Float64Array) as [Float64Array, Float64Array, Float64Array, Float64Array];
  const wanted =
    crossEntropy(main, smoothing) +
    weights.early * crossEntropy(early, smoothing) +
    weights.late * crossEntropy(late, smoothing);
  expect(loss[0]).toBeCloseTo(wanted, 12); // both in float64
  expect(wanted).toBeGreaterThan(crossEntropy(main, smoothing));
  program.close();
  state.close();
});
