// Every convolution, forward and backward, that a training step of the networks holds, and as it is fused in inference;
// in half precision also as it gives sums.
import { syntheticDataSet } from '../../../lib/data/index.ts';
import { fuse, fusions, type Graph, type Node } from '../../../lib/graph/index.ts';
import { createModel, modelDefaults } from '../../../lib/models/index.ts';
import { sgd } from '../../../lib/optim/index.ts';
import { type AmpDtype, predictionGraph, trainingGraph } from '../../../lib/train/step.ts';

export const networks = [
  'cifar-resnet20',
  'resnet18-small',
  'resnet50',
  'resnet152',
  'resnet50-v2',
  'resnet152-v2',
  'inception-v1',
  'inception-v2',
];
/** Those whose batch norms and poolings are planned as well. */
export const fewer = ['cifar-resnet20', 'resnet50', 'resnet152-v2', 'inception-v2'];
const batchSize = 32;
const normalisation = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };
const everything = new Set(fusions().map((name) => `op:${name}`));

/** Of a training step, not yet fused. */
export function graphOf(name: string, ampDtype: AmpDtype): Graph {
  const { imageSize, numClasses } = modelDefaults(name);
  const size = [imageSize, imageSize] as const;
  const { train } = syntheticDataSet({ size, channels: 3, numClasses, trainCount: 1, testCount: 1 });
  return trainingGraph({
    model: createModel(name),
    set: train,
    batchSize,
    ampDtype,
    normalisation,
    optimizer: sgd({ momentum: 0.9 }),
    augment: { padding: 0, flip: false },
    smoothing: 0,
    seed: 0,
  });
}

function stepOf(name: string, ampDtype: AmpDtype = 'float32'): readonly Node[] {
  const graph = graphOf(name, ampDtype);
  return (ampDtype === 'float32' ? graph : fuse(graph, everything)).nodes;
}

/** In half precision, where every normalisation behind a convolution is folded into it. */
function inferenceOf(name: string): readonly Node[] {
  const { imageSize } = modelDefaults(name);
  const size = { height: imageSize, width: imageSize, channels: 3 };
  const rest = { batchSize, normalisation, ampDtype: 'float16' } as const;
  return fuse(predictionGraph({ model: createModel(name), size, ...rest }), everything).nodes;
}

/** The operands of a pass as x, w, y, whichever of them it writes. */
function shapes({ op, inputs, outputs }: Node): readonly (readonly number[])[] {
  const other = inputs[op.startsWith('scaled_add') ? 4 : op.startsWith('scaled') ? 3 : 1];
  const [a, b, result] = [inputs[0], other, outputs[0]].map((value) => value?.shape ?? []) as number[][];
  if (op.startsWith('conv2d_dgrad')) return [result, b, a] as number[][];
  if (op.endsWith('conv2d_wgrad')) return [a, result, b] as number[][];
  return [a, b, result] as number[][];
}

/** As the program `plans` reads it, without the dtype: the pass, and everything behind the dtype. */
export interface Line {
  readonly pass: string;
  readonly rest: string;
  /** The columns of the table in which it is asked for. Default: all. */
  readonly only?: Partial<Column>;
}

export interface Column {
  readonly chip: string;
  readonly dtype: string;
}

const isSumming = ({ op }: Node) => /_statistics$|^scaled_/.test(op);

function lineOf(node: Node, channels?: number): Line {
  const { stride, padding, dilation, groups } = node.attributes;
  const isBiased = node.inputs.length > (node.op === 'conv2d_add_relu' ? 3 : 2) && !isSumming(node);
  const [[n, c, ...map], [o, i, ...window], y] = shapes(node) as [number[], number[], number[]];
  const sizes = [n, channels ?? c, ...map, o, channels ?? i, ...window, ...y];
  return {
    pass: node.op + (isBiased ? '+bias' : ''),
    rest: [...sizes, stride, padding, dilation, groups].flat().join(' '),
  };
}

/** The second where the device is slower with its prologue. */
function andWithoutPrologue(line: Line): Line[] {
  const pass = line.pass.replace(/^scaled_(add_)?/, '');
  return pass === line.pass ? [line] : [line, { ...line, pass }];
}

/** Of pictures: with as many channels as they may be padded to (planned.cc). */
function padded(nodes: readonly Node[]): Line[] {
  const few = nodes.filter((node) => /^conv2d(_wgrad)?$/.test(node.op) && (shapes(node)[0]?.[1] ?? 0) < 4);
  return few.map((node) => lineOf(node, 8));
}

/** In the order of the first of each. */
export function withoutRepetitions(lines: readonly Line[]): readonly Line[] {
  return [...new Map(lines.map((line) => [nameOf(line), line])).values()];
}

export function convolutions(): readonly Line[] {
  const halves = networks.flatMap((name) => (['float16', 'bfloat16'] as const).map((dtype) => ({ name, dtype })));
  const steps = halves.map((half) => ({ ...half, nodes: stepOf(half.name, half.dtype).filter(isSumming) }));
  const summing = steps.flatMap(({ nodes }) => nodes);
  const ofBfloat16 = steps.filter(({ dtype }) => dtype === 'bfloat16').flatMap(({ nodes }) => nodes);
  const inBfloat16 = new Set(ofBfloat16.map((node) => nameOf(lineOf(node))));
  const others = [...networks.flatMap((name) => stepOf(name)), ...networks.flatMap(inferenceOf)];
  const whole = [...others.filter(({ op }) => op.startsWith('conv2d')), ...summing].map((node) => lineOf(node));
  const lines = withoutRepetitions([...whole.flatMap(andWithoutPrologue), ...padded(others)]);
  return lines.map((line) => ({ ...line, only: columnsOf(line, inBfloat16) }));
}

const nameOf = ({ pass, rest }: Line) => `${pass} ${rest}`;

/**
 * fuse() leaves prologues of a residual, and gradients with sums that skip pixels, to float16, and cuDNN has the former on one
 * chip; of the gradient of a weight behind a prologue bfloat16 has the parts alone.
 */
function columnsOf(line: Line, inBfloat16: ReadonlySet<string>): Partial<Column> {
  if (line.pass.startsWith('scaled_add')) return { chip: 'sm_90', dtype: 'float16' };
  if (line.pass === 'scaled_conv2d_wgrad') return { dtype: 'float16' };
  const isFused = /^(conv2d_dgrad|scaled_conv2d)_statistics$/.test(line.pass);
  return isFused && !inBfloat16.has(nameOf(line)) ? { dtype: 'float16' } : {};
}

export function isPlanned({ only = {} }: Line, { chip, dtype }: Column): boolean {
  return (only.chip ?? chip) === chip && (only.dtype ?? dtype) === dtype;
}
