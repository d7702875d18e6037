// Steps and predictions of whole networks, and what is recorded of them after fusion.
import { readFileSync } from 'node:fs';
import { syntheticDataSet } from '../../../lib/data/index.ts';
import { fuse, fusions, type Graph } from '../../../lib/graph/index.ts';
import { createModel, modelDefaults } from '../../../lib/models/index.ts';
import { sgd } from '../../../lib/optim/index.ts';
import { type AmpDtype, predictionGraph, trainingGraph } from '../../../lib/train/step.ts';

export const networks = ['cifar-resnet20', 'resnet50', 'resnet50-v2', 'inception-v2'];
export const modes = ['training', 'training-float16', 'training-bfloat16', 'inference'] as const;

/** What a device with every kernel offers. */
export const everything: ReadonlySet<string> = new Set(fusions().map((name) => `op:${name}`));

const normalisation = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };

export function trainingOf(name: string, ampDtype: AmpDtype = 'float32'): Graph {
  const { imageSize, numClasses } = modelDefaults(name);
  const { train } = syntheticDataSet({ size: [imageSize, imageSize], numClasses, trainCount: 1, testCount: 1 });
  const augment = { padding: 0, flip: true };
  const optimizer = sgd({ momentum: 0.9 });
  const rest = { batchSize: 32, ampDtype, smoothing: 0, seed: 0 };
  return trainingGraph({ model: createModel(name), set: train, normalisation, optimizer, augment, ...rest });
}

/** At 128 pictures every map of these networks has more numbers than the weights of its convolution. */
export function predictionOf(name: string, batchSize = 128, ampDtype: AmpDtype = 'float32'): Graph {
  const { imageSize: side } = modelDefaults(name);
  const size = { height: side, width: side, channels: 3 };
  return predictionGraph({ model: createModel(name), size, batchSize, normalisation, ampDtype });
}

function graphOf(name: string, mode: (typeof modes)[number]): Graph {
  if (mode === 'inference') return predictionOf(name);
  return trainingOf(name, mode === 'training' ? 'float32' : mode === 'training-float16' ? 'float16' : 'bfloat16');
}

/** One line per node: `layer1.0.conv1.conv2d_relu = conv2d_relu(layer1.0, …)`. */
export function fusedText(name: string, mode: (typeof modes)[number]): string {
  const { nodes } = fuse(graphOf(name, mode), everything, ['logits']);
  const list = (values: readonly { readonly name: string }[]) => values.map((value) => value.name).join(', ');
  return nodes.map(({ op, inputs, outputs }) => `${list(outputs)} = ${op}(${list(inputs)})\n`).join('');
}

export function recordOf(name: string, mode: (typeof modes)[number]): URL {
  return new URL(`${name}-${mode}.txt`, import.meta.url);
}

export function recordedText(name: string, mode: (typeof modes)[number]): string {
  return readFileSync(recordOf(name, mode), 'utf8');
}
