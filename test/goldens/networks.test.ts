// Every network of lib/models against PyTorch in float64 (see networks.py): the same weights, inputs and labels.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph, gradient, type HostArray, hostArrayOf, type Value } from '../../lib/graph/index.ts';
import {
  cifarPlain,
  highway19,
  inceptionV1,
  inceptionV2,
  ResNet,
  ResNetV2,
  resnet18Small,
  sigmoidMlp,
} from '../../lib/models/index.ts';
import type { Module } from '../../lib/nn/index.ts';
import { globalAvgPool } from '../../lib/ops/index.ts';
import { compile, Device, type Program, variablesOf } from '../../lib/program.ts';
import { lossOf } from '../../lib/train/step.ts';
import { golden } from './images.ts';
import { distance, initialWeights, type Sample, sample, uniform } from './weights.ts';

interface Golden {
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

const numClasses = 7;
const small = { numClasses, widthMultiplier: 0.25 };
const inception = { numClasses, widthMultiplier: 0.125, dropout: 0 };
const heads = { ...inception, auxiliaryHeads: true, dropoutAux: 0 };

const cases: Readonly<Record<string, () => Module>> = {
  'resnet-basic': () => new ResNet('basic', [1, 2, 1, 1], small),
  'resnet-v1.5': () => new ResNet('v1.5', [1, 2, 1, 1], small),
  'resnet-v1': () => new ResNet('v1', [1, 2, 1, 1], small),
  'resnetv2-slim': () => new ResNetV2('tfslim', [2, 2, 1, 1], small),
  'resnetv2-slim-map': () => new ResNetV2('tfslim', [1, 2], { ...small, includeRootBlock: false, globalPool: false }),
  'resnetv2-timm': () => new ResNetV2('timm', [2, 2, 1, 1], small),
  'inception-v2': () => inceptionV2(inception),
  'inception-v2-tfslim': () => inceptionV2({ ...inception, variant: 'tfslim', stem: 'separable' }),
  'inception-v2-sigmoid': () => inceptionV2({ ...inception, activation: 'sigmoid' }),
  'inception-v1': () => inceptionV1(inception),
  'inception-v1-heads': () => inceptionV1({ ...heads, imageSize: 65 }),
  'inception-v2-heads': () => inceptionV2({ ...heads, imageSize: 113 }),
  highway19: () => highway19(small),
  'sigmoid-mlp': () => sigmoidMlp({ numClasses }),
  'sigmoid-mlp-bn': () => sigmoidMlp({ numClasses, batchNorm: true }),
  'resnet18-small': () => resnet18Small(small),
  'cifar-plain14': () => cifarPlain({ depth: 14, numClasses }),
};

type Precision = 'float64' | 'float32';

// Logits and loss relative, gradients relative to their 2-norm. In float32 a rounding error flips the sign of some
// activation near zero in many batches, in PyTorch as here, and moves single gradients by per cents (see resnet20.test.ts).
const tolerances = {
  float64: { logits: 1e-12, loss: 1e-12, gradients: { worst: 1e-9, median: 1e-11 } },
  float32: { logits: 1e-5, loss: 1e-5, gradients: { worst: 0.05, median: 0.02 } },
} as const;

let reference: Device;
let cpu: Device;

beforeAll(async () => {
  reference = await Device.open('reference');
  cpu = await Device.open('cpu', { threads: 2 });
});
afterAll(async () => {
  await reference.close();
  await cpu.close();
});

describe.each(Object.keys(cases))('%s', (name) => {
  it('reference, float64', () => check(reference, name, 'float64'), 120_000);
  it('cpu, float32', () => check(cpu, name, 'float32'), 60_000);
});

async function check(device: Device, name: string, dtype: Precision): Promise<void> {
  const truth = golden<Golden>(`networks/${name}`);
  const tolerance = tolerances[dtype];
  const model = (cases[name] as () => Module)();
  const parameters = model.namedParameters().map(([parameter]) => parameter);
  const evaluated = await answers(device, model, truth.shape, new Graph({ dtype }), []);
  expectNear('evaluation', relative(evaluated.get('logits'), truth.evaluation), tolerance.logits);
  const trained = await answers(device, model, truth.shape, new Graph({ dtype, training: true }), parameters);
  // Deep batch normalisation over few values makes rounding grow; PyTorch's float32 says by how much.
  for (const [head, wanted] of Object.entries({ logits: truth.logits, ...truth.heads })) {
    const grown = dtype === 'float32' ? 3 * (truth.peerErrors[head] as number) : 0;
    expectNear(head, relative(trained.get(head), wanted), Math.max(tolerance.logits, grown));
  }
  expectNear('loss', relative(trained.get('loss'), [truth.loss]), tolerance.loss);
  expect(parameters.toSorted()).toEqual(Object.keys(truth.gradients).toSorted());
  const largest = Math.max(...Object.values(truth.gradients).map(({ norm }) => norm));
  const errors = parameters.map((parameter) => {
    const found = trained.get(`grad.${parameter}`) as HostArray;
    return { parameter, error: gradientError(parameter, found, truth.gradients[parameter] as Sample, largest) };
  });
  errors.sort((a, b) => a.error - b.error);
  const [median, worst] = [errors[errors.length >> 1], errors.at(-1)] as [(typeof errors)[0], (typeof errors)[0]];
  expectNear('gradients, median', median.error, tolerance.gradients.median);
  expectNear(`gradients, worst (${worst.parameter})`, worst.error, tolerance.gradients.worst);
}

/** A bias that only a batch normalisation sees has no gradient: there, what rounding leaves is measured by the largest one. */
function gradientError(name: string, found: HostArray, truth: Sample, largest: number): number {
  const ours = sample(name, found, 4);
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
    labels: Int32Array.from({ length: shape[0] }, (_, i) => i % numClasses),
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
  expect(found?.length).toBe(truth.length);
  const norm = (values: readonly number[]) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
  return norm(truth.map((x, i) => x - (found?.[i] as number))) / norm(truth);
}

function expectNear(what: string, error: number, allowed: number): void {
  if (process.env.GOLDEN_ERRORS) console.log(what, error, allowed);
  expect(error, what).toBeLessThanOrEqual(allowed);
}
