// A step is captured once and replayed from the third on. What differs between two steps, the learning rate, the
// images, the labels and the seed, must come from device memory: eight steps beside the reference.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Graph, gradient, type HostArray } from '../../lib/graph/index.ts';
import { augment, conv2d, globalAvgPool, increment, linear, relu, softmaxCrossEntropy } from '../../lib/ops/index.ts';
import { sgd } from '../../lib/optim/index.ts';
import { compile, Device, type Program, type State, variablesOf } from '../../lib/program.ts';
import { Random } from '../support/random.ts';

const { available, reason } = Device.backends().find(({ name }) => name === 'cuda') ?? { available: false };
const batch = 12;
const side = 48; // the images are above 64 KiB, and travel on the copy stream
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

interface Inputs {
  readonly images: Uint8Array;
  readonly labels: Int32Array;
  readonly seed: Int32Array;
  readonly lr: Float32Array;
}

function inputsOf(step: number): Inputs {
  const random = new Random(`inputs of step ${step}`);
  return {
    images: Uint8Array.from({ length: batch * side * side * 3 }, () => random.integer(0, 255)),
    labels: Int32Array.from({ length: batch }, () => random.integer(0, 4)),
    seed: Int32Array.of(random.integer(0, 1000)),
    lr: Float32Array.of(step % 3 === 0 ? 0 : 0.3 / step),
  };
}

interface Started {
  readonly program: Program;
  readonly state: State;
}

async function start(device: Device): Promise<Started> {
  const random = new Random('weights');
  const weights = (length: number) => Float32Array.from({ length }, () => random.normal() / 4);
  const graph = new Graph({ training: true });
  const images = graph.input('images', { shape: [batch, side, side, 3], dtype: 'uint8' });
  const labels = graph.input('labels', { shape: [batch], dtype: 'int32' });
  const seed = graph.input('seed', { shape: [1], dtype: 'int32' });
  const step = graph.variable('step', { shape: [1], dtype: 'int32' });
  const normalisation = { mean: [0.5, 0.4, 0.3], std: [0.3, 0.3, 0.2] };
  const x = augment(images, { ...normalisation, size: [7, 7], flip: true, random: { seed, step } });
  const filter = graph.variable('filter', { shape: [5, 3, 3, 3], format: 'filter', initial: weights(135) });
  const matrix = graph.variable('matrix', { shape: [5, 5], initial: weights(25) });
  const logits = linear(globalAvgPool(relu(conv2d(x, filter))), matrix);
  const loss = softmaxCrossEntropy(logits, labels);
  const gradients = gradient(loss, [filter, matrix]);
  sgd({ momentum: 0.9 }).update(graph, [filter, matrix], gradients, graph.input('lr', { shape: [1] }));
  increment(step);
  graph.name(x, 'crops');
  graph.name(loss, 'loss');
  const state = await device.createState(variablesOf(graph));
  return { state, program: await compile(graph, { device, state, keep: ['crops', 'loss'] }) };
}

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
  const all = Array.from({ length: steps }, (_, step) => inputsOf(step));
  const stacked = {
    images: Uint8Array.from(all.flatMap(({ images }) => Array.from(images))),
    labels: Int32Array.from(all.flatMap(({ labels }) => Array.from(labels))),
    seed: Int32Array.from(all.flatMap(({ seed }) => Array.from(seed))),
    lr: Float32Array.from(all.flatMap(({ lr }) => Array.from(lr))),
  };
  await found.program.run(steps, stacked);
  await expected.program.run(steps, stacked);
  await expectSame(found, expected, `after ${steps} steps`);
  close(found, expected);
});

function close(...started: readonly Started[]): void {
  for (const { program, state } of started) {
    program.close();
    state.close();
  }
}
