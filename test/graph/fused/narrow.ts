// Narrowed networks on small pictures, with statistics and parameters that no initialiser gives, run once.
import { autocast, Graph, gradient, type HostArray, hostArrayOf } from '../../../lib/graph/index.ts';
import { cifarResNet, inceptionV2, ResNet, resnet50, resnet50V2 } from '../../../lib/models/index.ts';
import type { Module } from '../../../lib/nn/index.ts';
import { softmaxCrossEntropy } from '../../../lib/ops/index.ts';
import { sgd } from '../../../lib/optim/index.ts';
import { compile, type Device, type State, variablesOf } from '../../../lib/program.ts';
import { Random } from '../../support/random.ts';

const numClasses = 5;
const narrow = { numClasses, widthMultiplier: 1 / 8 };

export interface Narrow {
  readonly name: string;
  readonly side: number;
  readonly model: () => Module;
}

export const networks: readonly Narrow[] = [
  { name: 'ResNet-20', side: 17, model: () => cifarResNet({ depth: 20, numClasses }) },
  { name: 'ResNet-50', side: 33, model: () => resnet50(narrow) },
  { name: 'ResNet-50-v2', side: 33, model: () => resnet50V2(narrow) },
  { name: 'Inception-v2', side: 33, model: () => inceptionV2({ ...narrow, dropout: 0, stem: 'separable' }) },
];

/** With every group of a training step in half precision, and few enough layers for rounding to stay small. */
export const bottlenecks: Narrow = {
  name: 'five bottlenecks',
  side: 65,
  model: () => new ResNet('v1.5', [2, 1, 1, 1], narrow),
};

// Sums are taken before the output is rounded to 11 or 8 bits, and in one pass: other roundings, of 5e-4 or 4e-3, through
// twenty layers. The bottlenecks end in maps of 3x3: of statistics of 18 numbers, float16 itself is 3e-3 from float64.
// Of 19 and 20 convolutions the first reads three channels; 9 of the others, or 10, read what BN and ReLU left, which they make,
// and 4 what BN, addition and ReLU left behind a block, which they make in float16.
export const summing = [
  { network: networks[0] as Narrow, dtype: 'float16', tolerance: 3e-3, median: 0.01, sums: 18, inner: 9, outer: 0 },
  { network: networks[0] as Narrow, dtype: 'bfloat16', tolerance: 3e-2, median: 0.1, sums: 18, inner: 9, outer: 0 },
  { network: bottlenecks, dtype: 'float16', tolerance: 6e-3, median: 0.02, sums: 19, inner: 10, outer: 4 },
].map(({ sums, inner, outer, ...row }) => {
  const counts = {
    conv2d_statistics: sums - inner - outer,
    conv2d_dgrad_statistics: inner,
    scaled_conv2d_statistics: inner,
    scaled_add_conv2d_statistics: outer,
    scaled_conv2d_wgrad: inner,
  };
  return { ...row, dtype: row.dtype as 'float16' | 'bfloat16', sums, counts };
});

export function countOf({ ops }: Outcome, counted: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.keys(counted).map((op) => [op, ops.filter((one) => one === op).length]));
}

const batch = 2;
const labels = Int32Array.of(3, 0);

function picture(graph: Graph, side: number) {
  return graph.input('x', { shape: [batch, 3, side, side], format: 'activation' });
}

export function inferenceOf({ model, side }: Narrow, dtype: 'float32' | 'float64' | 'float16' | 'bfloat16'): Graph {
  const graph = new Graph({ dtype: dtype === 'float64' ? dtype : 'float32' });
  graph.name(model().call(picture(graph, side)), 'logits');
  return dtype === 'float16' || dtype === 'bfloat16' ? autocast(graph, dtype) : graph;
}

export function stepOf({ model, side }: Narrow, dtype: 'float32' | 'float64' | 'float16' | 'bfloat16'): Graph {
  const forward = new Graph({ dtype: dtype === 'float64' ? dtype : 'float32', training: true });
  const net = model();
  const logits = forward.name(net.call(picture(forward, side)), 'logits');
  const answers = forward.input('labels', { shape: [batch], dtype: 'int32' });
  forward.name(softmaxCrossEntropy(logits, answers), 'loss');
  const graph = dtype === 'float16' || dtype === 'bfloat16' ? autocast(forward, dtype) : forward;
  const parameters = net.namedParameters().map(([name]) => graph.find(name));
  const rate = graph.input('learning_rate', { shape: [1] });
  sgd({ momentum: 0.9 }).update(graph, parameters, gradient(graph.find('loss'), parameters), rate);
  return graph;
}

/** Away from 0 and 1, where folding a normalisation would not be seen. */
async function disturb(graph: Graph, state: State): Promise<void> {
  for (const { name, shape, dtype } of graph.variables) {
    if (shape.length !== 1 || !/(weight|bias|running_mean|running_var)$/.test(name)) continue;
    const random = new Random(name);
    const isPositive = /(weight|running_var)$/.test(name);
    const draw = () => (isPositive ? 0.5 + random.uniform() : random.normal() / 4);
    await state.write(name, hostArrayOf(dtype).from(Float64Array.from({ length: shape[0] as number }, draw)));
  }
}

export interface Outcome {
  readonly ops: readonly string[];
  readonly implementations: readonly string[];
  /** The logits, and after a training step every variable. */
  readonly values: ReadonlyMap<string, HostArray>;
}

export async function run(device: Device, graph: Graph, fuse: boolean | readonly string[]): Promise<Outcome> {
  const state = await device.createState(variablesOf(graph), { seed: 1 });
  const program = await compile(graph, { device, state, keep: ['logits'], fuse });
  try {
    await disturb(graph, state);
    const random = new Random('picture');
    const x = graph.find('x');
    const given = {
      x: hostArrayOf(x.dtype).from(
        Float64Array.from({ length: 3 * batch * (x.shape[2] as number) ** 2 }, () => random.normal()),
      ),
    };
    const rate = hostArrayOf(graph.dtype).from([0.01]);
    await program.step(graph.training ? { ...given, labels, learning_rate: rate } : given);
    const values = new Map([['logits', await program.fetch('logits')]]);
    for (const { name } of graph.training ? graph.variables : []) values.set(name, await state.read(name));
    const { rows } = program.plan;
    return { ops: rows.map(({ op }) => op), implementations: rows.map(({ implementation }) => implementation), values };
  } finally {
    program.close();
    state.close();
  }
}

/** The largest difference of any value whose name is `among`, relative to the largest magnitude in it. */
export function difference(found: Outcome, expected: Outcome, among = /./): number {
  const compared = [...expected.values].filter(([name]) => among.test(name));
  return Math.max(...compared.map(([name, truth]) => differenceOf(found.values.get(name) as HostArray, truth)));
}

export interface Spread {
  readonly median: number;
  readonly worst: number;
}

/** Of the gradients, which a first step leaves as momentum: distances relative to the 2-norm of the truth. */
export function gradientErrors(found: Outcome, truth: Outcome): Spread {
  const norm = (values: ArrayLike<number>) => Math.sqrt(Array.from(values).reduce((sum, x) => sum + x * x, 0));
  const errors = [...truth.values].flatMap(([name, wanted]) => {
    if (!name.startsWith('optimizer.momentum.')) return [];
    const given = found.values.get(name) as HostArray;
    return [norm(Array.from(wanted, (value, i) => value - (given[i] as number))) / norm(wanted)];
  });
  errors.sort((a, b) => a - b);
  return { median: errors[errors.length >> 1] as number, worst: errors.at(-1) as number };
}

/** What a training step leaves of its forward pass. */
export const forwardValues = /^logits$|running_(mean|var)$/;

function differenceOf(found: HostArray, truth: HostArray): number {
  const largest = Math.max(...Array.from(truth, Math.abs));
  const error = Math.max(...Array.from(truth, (value, i) => Math.abs((found[i] as number) - value)));
  return error === 0 ? 0 : error / largest;
}
