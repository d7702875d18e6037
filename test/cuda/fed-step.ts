// A training step whose inputs come from the host: images that travel on the copy stream, labels, a seed, a rate.
import { Graph, gradient } from '../../lib/graph/index.ts';
import { augment, conv2d, globalAvgPool, increment, linear, relu, softmaxCrossEntropy } from '../../lib/ops/index.ts';
import { sgd } from '../../lib/optim/index.ts';
import { compile, type Device, type Program, type State, variablesOf } from '../../lib/program.ts';
import { Random } from '../support/random.ts';

const batch = 12;
const side = 48; // the images are above 64 KiB
export const imageBytes = batch * side * side * 3;

interface Inputs {
  readonly images: Uint8Array;
  readonly labels: Int32Array;
  readonly seed: Int32Array;
  readonly lr: Float32Array;
}

export function inputsOf(step: number): Inputs {
  const random = new Random(`inputs of step ${step}`);
  return {
    images: Uint8Array.from({ length: batch * side * side * 3 }, () => random.integer(0, 255)),
    labels: Int32Array.from({ length: batch }, () => random.integer(0, 4)),
    seed: Int32Array.of(random.integer(0, 1000)),
    lr: Float32Array.of(step % 3 === 0 ? 0 : 0.3 / step),
  };
}

export interface Started {
  readonly program: Program;
  readonly state: State;
}

export async function start(device: Device): Promise<Started> {
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

/** The inputs of so many steps, one behind the other. */
export function stackedInputs(steps: number): Inputs {
  const all = Array.from({ length: steps }, (_, step) => inputsOf(step));
  return {
    images: Uint8Array.from(all.flatMap(({ images }) => Array.from(images))),
    labels: Int32Array.from(all.flatMap(({ labels }) => Array.from(labels))),
    seed: Int32Array.from(all.flatMap(({ seed }) => Array.from(seed))),
    lr: Float32Array.from(all.flatMap(({ lr }) => Array.from(lr))),
  };
}

export function close(...started: readonly Started[]): void {
  for (const { program, state } of started) {
    program.close();
    state.close();
  }
}
