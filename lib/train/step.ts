// The graphs of training, evaluation and prediction: from pictures in device memory to rings of metrics.
import { type ImageSet, isStreamed, type PictureSet, type StreamedSet } from '../data/types.ts';
import { autocast, Graph, gradient, type Value } from '../graph/index.ts';
import type { Module } from '../nn/index.ts';
import {
  type AugmentOptions,
  augment,
  gather,
  increment,
  ringWrite,
  softmaxCrossEntropy,
  topkCorrect,
  weightedSum,
} from '../ops/index.ts';
import { averagePrefix, averageWeights, type Optimizer } from '../optim/index.ts';
import { LossScaler, type LossScaling } from './loss-scale.ts';

export type AmpDtype = 'float32' | 'bfloat16' | 'float16';

export interface Normalisation {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export interface ForwardOptions {
  readonly model: Module;
  readonly batchSize: number;
  readonly normalisation: Normalisation;
  readonly ampDtype: AmpDtype;
  /** Whether the model computes with the averages of its weights that training keeps (emaDecay). */
  readonly averaged?: boolean | undefined;
}

export interface TrainingStepOptions extends ForwardOptions {
  readonly set: ImageSet | StreamedSet;
  readonly optimizer: Optimizer;
  /** Of pictures in device memory; streamed ones come cut and mirrored. */
  readonly augment: { readonly padding: number; readonly flip: boolean };
  readonly smoothing: number;
  /** Keeps moving averages of parameters and buffers with this decay. */
  readonly emaDecay?: number | undefined;
  /** Of float16. */
  readonly lossScaling?: LossScaling | undefined;
  readonly seed: number;
}

/** Steps whose metrics the device keeps; the most that one native call may run. */
export const ringLength = 256;

/** Variables that a checkpoint leaves out: they are made anew from the data, or live for one call. */
export const transient: ReadonlySet<string> = new Set([
  ...['data.images', 'data.labels', 'ring.loss', 'ring.correct'],
  ...['evaluation.images', 'evaluation.step', 'evaluation.loss', 'evaluation.top1', 'evaluation.top5'],
]);

/**
 * Inputs: learning_rate float32 [1]; of a set in device memory indices int32 [B], of a streamed one images uint8
 * [B, H, W, C] and labels int32 [B]. The metrics of step s stand in the rings at s mod ringLength.
 */
export function trainingGraph(options: TrainingStepOptions): Graph {
  const { model, set, smoothing, optimizer, batchSize } = options;
  const graph = new Graph({ training: true });
  const seed = graph.variable('seed', { shape: [1], dtype: 'int32', initial: Int32Array.of(options.seed) });
  const step = counter(graph, 'step');
  const { images, labels } = isStreamed(set) ? fed(graph, set, batchSize) : chosen(graph, set, batchSize);
  const logits = predict(images, options, isStreamed(set) ? {} : { ...options.augment, random: { seed, step } });
  graph.name(topkCorrect(logits, labels, { k: 1 }), 'correct');
  graph.name(lossOf(logits, labels, model, smoothing), 'loss');

  const whole = inPrecision(graph, options.ampDtype);
  const trained = model.namedParameters().filter(([, parameter]) => parameter.requiresGrad);
  const parameters = trained.map(([name]) => whole.find(name));
  const scaler = options.ampDtype === 'float16' ? new LossScaler(whole, options.lossScaling) : undefined;
  const loss = whole.find('loss');
  const gradients = scaler ? scaler.gradients(loss, parameters) : gradient(loss, parameters);
  optimizer.update(whole, parameters, gradients, whole.input('learning_rate', { shape: [1] }));
  if (options.emaDecay !== undefined) average(whole, model, options.emaDecay, scaler?.updates ?? whole.find('step'));
  const final = scaler?.finish() ?? whole;
  record(final, final.find('step'), { 'ring.loss': final.find('loss'), 'ring.correct': final.find('correct') });
  return final;
}

/** Of the logits, and of the model's auxiliary heads by their weights. */
export function lossOf(logits: Value, labels: Value, { auxiliary }: Module, smoothing: number): Value {
  const loss = softmaxCrossEntropy(logits, labels, { smoothing });
  const heads = Object.entries(auxiliary);
  if (heads.length === 0) return loss;
  const others = heads.map(([name]) => softmaxCrossEntropy(logits.graph.find(name), labels, { smoothing }));
  return weightedSum([loss, ...others], [1, ...heads.map(([, weight]) => weight)]);
}

/**
 * Inputs: labels int32 [B], -1 for rows that fill the last batch up; of a set in device memory indices int32 [B], of a
 * streamed one images uint8 [B, H, W, C].
 */
export function evaluationGraph(options: ForwardOptions & { readonly set: ImageSet | StreamedSet }): Graph {
  const { set, batchSize } = options;
  const graph = new Graph({ training: false });
  const images = isStreamed(set)
    ? pictures(graph, set, batchSize)
    : gather(resident(graph, 'evaluation.images', set), rows(graph, 'indices', batchSize));
  const labels = rows(graph, 'labels', batchSize);
  const logits = predict(images, options, {});
  record(graph, counter(graph, 'evaluation.step'), {
    'evaluation.loss': softmaxCrossEntropy(logits, labels),
    'evaluation.top1': topkCorrect(logits, labels, { k: 1 }),
    'evaluation.top5': topkCorrect(logits, labels, { k: Math.min(5, logits.shape[1] as number) }),
  });
  return inPrecision(graph, options.ampDtype);
}

/** Input: images uint8 [B, H, W, C]. Fetch 'logits' [B, K]. */
export function predictionGraph(
  options: ForwardOptions & {
    readonly size: PictureSize;
  },
): Graph {
  const graph = new Graph({ training: false });
  predict(pictures(graph, options.size, options.batchSize), options, {});
  return inPrecision(graph, options.ampDtype);
}

function predict(images: Value, options: ForwardOptions, extra: Partial<AugmentOptions>): Value {
  const { graph } = images;
  const x = augment(images, { ...options.normalisation, ...extra });
  const logits = graph.within(options.averaged ? averagePrefix : '', () => options.model.call(x));
  return graph.name(logits, 'logits');
}

/** The rows of a step, out of device memory. */
function chosen(graph: Graph, set: ImageSet, batchSize: number): { images: Value; labels: Value } {
  const indices = rows(graph, 'indices', batchSize);
  const all = graph.variable('data.labels', { shape: [set.count], dtype: 'int32', initial: set.labels });
  return { labels: gather(all, indices), images: gather(resident(graph, 'data.images', set), indices) };
}

/** The rows of a step, brought to it. */
function fed(graph: Graph, set: PictureSize, batchSize: number): { images: Value; labels: Value } {
  return { images: pictures(graph, set, batchSize), labels: rows(graph, 'labels', batchSize) };
}

type PictureSize = Pick<PictureSet, 'height' | 'width' | 'channels'>;

function pictures(graph: Graph, { height, width, channels }: PictureSize, batchSize: number): Value {
  return graph.input('images', { shape: [batchSize, height, width, channels], dtype: 'uint8' });
}

function rows(graph: Graph, name: string, batchSize: number): Value {
  return graph.input(name, { shape: [batchSize], dtype: 'int32' });
}

/** After the update: the first of them copies, so that weights that were loaded before it count. */
function average(graph: Graph, model: Module, decay: number, updates: Value): void {
  const names = [...model.namedParameters(), ...model.namedBuffers()].map(([name]) => name);
  const values = names.filter((name) => graph.has(name)).map((name) => graph.find(name));
  averageWeights(graph, values, { decay, step: updates });
}

function resident(graph: Graph, name: string, set: ImageSet): Value {
  const shape = [set.count, set.height, set.width, set.channels];
  return graph.variable(name, { shape, dtype: 'uint8', initial: set.images });
}

function counter(graph: Graph, name: string): Value {
  return graph.variable(name, { shape: [1], dtype: 'int32', initial: Int32Array.of(0) });
}

function inPrecision(graph: Graph, dtype: AmpDtype): Graph {
  return dtype === 'float32' ? graph : autocast(graph, dtype);
}

/** Writes each metric to its ring, then counts the step. */
function record(graph: Graph, step: Value, metrics: Readonly<Record<string, Value>>): void {
  for (const [name, value] of Object.entries(metrics)) {
    ringWrite(value, step, graph.variable(name, { shape: [ringLength], dtype: value.dtype }));
  }
  increment(step);
}
