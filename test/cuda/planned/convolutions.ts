// Every convolution, forward and backward, that a training step of the networks holds.
import { syntheticDataSet } from '../../../lib/data/index.ts';
import type { Node } from '../../../lib/graph/index.ts';
import { createModel, modelDefaults } from '../../../lib/models/index.ts';
import { sgd } from '../../../lib/optim/index.ts';
import { trainingGraph } from '../../../lib/train/step.ts';

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
const batchSize = 32;

function stepOf(name: string): readonly Node[] {
  const { imageSize, numClasses } = modelDefaults(name);
  const size = [imageSize, imageSize] as const;
  const { train } = syntheticDataSet({ size, channels: 3, numClasses, trainCount: 1, testCount: 1 });
  return trainingGraph({
    model: createModel(name),
    set: train,
    batchSize,
    ampDtype: 'float32',
    normalisation: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
    optimizer: sgd({ momentum: 0.9 }),
    augment: { padding: 0, flip: false },
    smoothing: 0,
    seed: 0,
  }).nodes;
}

/** The operands of a pass as x, w, y, whichever of them it writes. */
function shapes({ op, inputs, outputs }: Node): readonly (readonly number[])[] {
  const [a, b, result] = [inputs[0], inputs[1], outputs[0]].map((value) => value?.shape ?? []) as number[][];
  if (op === 'conv2d_dgrad') return [result, b, a] as number[][];
  if (op === 'conv2d_wgrad') return [a, result, b] as number[][];
  return [a, b, result] as number[][];
}

/** As the program `plans` reads it, without the dtype: the pass, and everything behind the dtype. */
export interface Line {
  readonly pass: string;
  readonly rest: string;
}

function lineOf(node: Node): Line {
  const { stride, padding, dilation, groups } = node.attributes;
  return { pass: node.op, rest: [...shapes(node), stride, padding, dilation, groups].flat().join(' ') };
}

/** Without repetitions, in the order in which the networks hold them. */
export function convolutions(): readonly Line[] {
  const nodes = networks.flatMap(stepOf).filter(({ op }) => op.startsWith('conv2d'));
  const lines = nodes.map(lineOf);
  return [...new Map(lines.map((line) => [`${line.pass} ${line.rest}`, line])).values()];
}
