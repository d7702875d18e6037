// A network beside PyTorch in float64 (networks.py): the same weights, inputs and labels.
import { Graph, gradient, type HostArray, hostArrayOf, type Value } from '../../lib/graph/index.ts';
import type { Module } from '../../lib/nn/index.ts';
import { globalAvgPool } from '../../lib/ops/index.ts';
import { compile, type Device, type Program, variablesOf } from '../../lib/program.ts';
import { lossOf } from '../../lib/train/step.ts';
import { distance, initialWeights, type Sample, sample, uniform } from './weights.ts';

export interface Golden {
  readonly shape: readonly [number, number, number, number];
  readonly evaluation: readonly number[];
  readonly logits: readonly number[];
  /** Logits of auxiliary heads by name. */
  readonly heads?: Readonly<Record<string, readonly number[]>>;
  readonly loss: number;
  /** Of PyTorch's own float32, relative to the 2-norm: of logits and heads. */
  readonly peerErrors: Readonly<Record<string, number>>;
  readonly gradients: Readonly<Record<string, Sample>>;
}

export type Precision = 'float64' | 'float32';

/** How far a network is from PyTorch, relative to the 2-norm of what is compared. */
export interface Errors {
  readonly evaluation: number;
  /** Logits of the training step, and those of auxiliary heads. */
  readonly outputs: Readonly<Record<string, number>>;
  readonly loss: number;
  readonly gradients: { readonly median: number; readonly worst: number; readonly worstName: string };
}

/** Labels count up to here, then start again. */
export const labelCount = 7;

export async function errorsOf(device: Device, model: Module, truth: Golden, dtype: Precision): Promise<Errors> {
  const parameters = model.namedParameters().map(([parameter]) => parameter);
  expectSameNames(parameters, Object.keys(truth.gradients));
  const evaluated = await answers(device, model, truth.shape, new Graph({ dtype }), []);
  const trained = await answers(device, model, truth.shape, new Graph({ dtype, training: true }), parameters);
  const outputs = Object.entries({ logits: truth.logits, ...truth.heads }).map(
    ([name, wanted]) => [name, relative(trained.get(name), wanted)] as const,
  );
  const largest = Math.max(...Object.values(truth.gradients).map(({ norm }) => norm));
  const gradients = parameters.map((name) => {
    const found = trained.get(`grad.${name}`) as HostArray;
    return { name, error: gradientError(name, found, truth.gradients[name] as Sample, largest) };
  });
  gradients.sort((a, b) => a.error - b.error);
  const [middle, worst] = [gradients[gradients.length >> 1], gradients.at(-1)] as [Gradient, Gradient];
  return {
    evaluation: relative(evaluated.get('logits'), truth.evaluation),
    outputs: Object.fromEntries(outputs),
    loss: relative(trained.get('loss'), [truth.loss]),
    gradients: { median: middle.error, worst: worst.error, worstName: worst.name },
  };
}

type Gradient = { readonly name: string; readonly error: number };

function expectSameNames(ours: readonly string[], theirs: readonly string[]): void {
  const single = [...ours, ...theirs].filter((name) => !(ours.includes(name) && theirs.includes(name)));
  if (single.length > 0) throw new Error(`parameters of one side only: ${single.join(', ')}`);
}

/** A bias that only a batch normalisation sees has no gradient: there, what rounding leaves is measured by the largest one. */
function gradientError(name: string, found: HostArray, truth: Sample, largest: number): number {
  const ours = sample(name, found, truth.elements.length);
  return truth.norm < 1e-12 * largest ? ours.norm / largest : distance(ours, truth, found.length);
}

/** Logits, in training graphs those of heads, the loss and the gradients of these parameters too, after one step. */
async function answers(
  device: Device,
  model: Module,
  shape: Golden['shape'],
  graph: Graph,
  parameters: readonly string[],
): Promise<Map<string, HostArray>> {
  const x = graph.input('x', { shape, format: 'activation' });
  const labels = graph.input('labels', { shape: [shape[0]], dtype: 'int32' });
  graph.name(model.call(x), 'logits');
  const keep = graph.training ? withGradients(graph, model, labels, parameters) : ['logits'];
  const state = await device.createState(variablesOf(graph));
  for (const name of state.names) {
    const spec = state.spec(name);
    await state.write(name, hostArrayOf(spec.dtype).from(initialWeights(name, spec.shape)));
  }
  const program = await compile(graph, { device, state, keep });
  await program.step({
    x: hostArrayOf(graph.dtype).from(uniform('x', shape)),
    labels: Int32Array.from({ length: shape[0] }, (_, i) => i % labelCount),
  });
  const found = await fetched(program, keep);
  program.close();
  state.close();
  return found;
}

/** Adds the loss and the gradients of these parameters; what a step is to keep. */
function withGradients(graph: Graph, model: Module, labels: Value, parameters: readonly string[]): string[] {
  const logits = graph.find('logits');
  const perImage = logits.shape.length === 4 ? globalAvgPool(logits) : logits;
  const loss = graph.name(lossOf(perImage, labels, model, 0), 'loss');
  const gradients = gradient(
    loss,
    parameters.map((name) => graph.find(name)),
  );
  return ['logits', ...Object.keys(model.auxiliary), 'loss', ...gradients.map(({ name }) => name)];
}

async function fetched(program: Program, names: readonly string[]): Promise<Map<string, HostArray>> {
  const found = new Map<string, HostArray>();
  for (const name of names) found.set(name, await program.fetch(name));
  return found;
}

function relative(found: HostArray | undefined, truth: readonly number[]): number {
  if (found?.length !== truth.length) throw new Error(`${found?.length} values, not ${truth.length}`);
  const norm = (values: readonly number[]) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
  return norm(truth.map((x, i) => x - (found[i] as number))) / norm(truth);
}
