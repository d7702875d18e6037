// The training step of a named model over generated pictures: what `summary` plans and `bench` times.
import { type DataSet, syntheticDataSet } from '../data/index.ts';
import type { Graph } from '../graph/index.ts';
import { createModel } from '../models/index.ts';
import type { Module } from '../nn/index.ts';
import { sgd } from '../optim/index.ts';
import { compile, type Device, type Program, type State, variablesOf } from '../program.ts';
import type { AmpDtype } from '../train/index.ts';
import { predictionGraph, trainingGraph } from '../train/step.ts';

export interface TrainingProgramOptions {
  readonly model: string;
  readonly batchSize: number;
  readonly imageSize: number;
  readonly numClasses: number;
  readonly inChannels: 1 | 3;
  readonly ampDtype: AmpDtype;
  readonly auxLogits?: boolean | undefined;
  /** Default true. */
  readonly fuse?: boolean | undefined;
}

/** What is there before a device is. */
export interface TrainingParts {
  readonly module: Module;
  readonly data: DataSet;
  readonly graph: Graph;
}

export interface TrainingProgram extends TrainingParts {
  readonly program: Program;
  readonly state: State;
}

export async function trainingProgram(device: Device, options: TrainingProgramOptions): Promise<TrainingProgram> {
  const parts = trainingParts(options);
  const state = await device.createState(variablesOf(parts.graph));
  return { ...parts, state, program: await compile(parts.graph, { device, state, fuse: options.fuse ?? true }) };
}

export function trainingParts(options: TrainingProgramOptions): TrainingParts {
  const { batchSize, imageSize, numClasses, inChannels, ampDtype, auxLogits } = options;
  const heads = auxLogits ? { auxiliaryHeads: true, imageSize } : {};
  const module = createModel(options.model, { numClasses, inChannels, ...heads });
  const data = syntheticDataSet({
    size: [imageSize, imageSize],
    channels: inChannels,
    numClasses,
    trainCount: 2 * batchSize,
    testCount: 1,
  });
  const graph = trainingGraph({
    model: module,
    set: data.train,
    batchSize,
    ampDtype,
    normalisation: normalisation(inChannels),
    optimizer: sgd({ momentum: 0.9, nesterov: true, weightDecay: 5e-4 }),
    augment: { padding: 4, flip: true },
    smoothing: 0,
    seed: 0,
  });
  return { module, data, graph };
}

/** What predicts a batch of the same pictures with the weights of `training`; input: images uint8 [B, S, S, C]. */
export function forwardProgram(
  device: Device,
  { module, state }: TrainingProgram,
  { batchSize, imageSize, inChannels, ampDtype, fuse = true }: TrainingProgramOptions,
): Promise<Program> {
  const size = { height: imageSize, width: imageSize, channels: inChannels };
  const graph = predictionGraph({
    model: module,
    batchSize,
    ampDtype,
    normalisation: normalisation(inChannels),
    size,
  });
  return compile(graph, { device, state, keep: ['logits'], fuse });
}

function normalisation(channels: number): { mean: number[]; std: number[] } {
  return { mean: Array(channels).fill(0.5), std: Array(channels).fill(0.25) };
}

/** Inputs of `steps` steps, walking through the pictures. */
export function stepInputs({ data }: Pick<TrainingParts, 'data'>, batchSize: number, steps: number) {
  const indices = Int32Array.from({ length: steps * batchSize }, (_, i) => (i * 7) % data.train.count);
  return { indices, learning_rate: Float32Array.from({ length: steps }, () => 0.01) };
}
