// What a model says about pictures: loss and accuracy over a set, logits for pictures of one's own.
import { type Batch, type ImageSet, isStreamed, type StreamedSet } from '../data/types.ts';
import { elements, type Graph, type HostArray, type Shape } from '../graph/index.ts';
import type { Module } from '../nn/index.ts';
import { averagePrefix } from '../optim/index.ts';
import { compile, type Device, type Inputs, type Program, type State, variablesOf } from '../program.ts';
import { type Checkpoint, checkSameVariables, type ModelInfo, type Variable } from './checkpoint.ts';
import { TrainingError } from './errors.ts';
import { feed, nextBatch } from './feed.ts';
import { checkLabels, classesOf } from './labels.ts';
import { type AmpDtype, evaluationGraph, type ForwardOptions, predictionGraph, ringLength } from './step.ts';

export interface Evaluation {
  readonly images: number;
  readonly loss: number;
  /** Fractions. `top5` counts the five likeliest classes, or all where there are fewer. */
  readonly top1: number;
  readonly top5: number;
}

/** Classes from the likeliest down, their probabilities, and the logits in the order of the model's classes. */
export interface Prediction {
  readonly labels: readonly string[];
  readonly probabilities: readonly number[];
  readonly logits: readonly number[];
  /** The end points that were asked for, by name, without the batch's axis. */
  readonly endPoints?: Readonly<Record<string, EndPointValue>>;
}

export interface EndPointValue {
  readonly shape: Shape;
  readonly data: HostArray;
}

export interface PredictOptions {
  /** Names of values to return besides the logits, such as `model.endPoints`. */
  readonly endPoints?: readonly string[];
}

const stepsPerCall = 4;

/** Evaluates a set that is resident in `state`, or streams (see evaluationGraph). */
export class Evaluator {
  readonly #program: Program;
  readonly #state: State;
  readonly #set: ImageSet | StreamedSet;
  readonly #batchSize: number;

  private constructor(program: Program, state: State, set: ImageSet | StreamedSet, batchSize: number) {
    this.#program = program;
    this.#state = state;
    this.#set = set;
    this.#batchSize = batchSize;
  }

  static async create(
    device: Device,
    state: State,
    graph: Graph,
    set: ImageSet | StreamedSet,
    batchSize: number,
  ): Promise<Evaluator> {
    return new Evaluator(await compile(graph, { device, state }), state, set, batchSize);
  }

  async evaluate(): Promise<Evaluation> {
    await this.#state.write('evaluation.step', Int32Array.of(0));
    const sums = { images: 0, loss: 0, top1: 0, top5: 0 };
    const runs = isStreamed(this.#set) ? this.#runStreamed(this.#set) : this.#runResident(this.#set);
    let step = 0;
    for await (const labels of runs) {
      const steps = labels.length / this.#batchSize;
      await this.#collect(step, steps, labels, sums);
      step += steps;
    }
    const { images, loss, top1, top5 } = sums;
    return { images, loss: loss / images, top1: top1 / images, top5: top5 / images };
  }

  close(): void {
    this.#program.close();
  }

  /** Gives the labels of the steps that ran. Rows beyond the set show its first picture; their label -1 counts nowhere. */
  async *#runResident(set: ImageSet): AsyncGenerator<Int32Array, void, void> {
    const batches = Math.ceil(set.count / this.#batchSize);
    for (let from = 0; from < batches; from += stepsPerCall) {
      const steps = Math.min(stepsPerCall, batches - from);
      const first = from * this.#batchSize;
      const indices = new Int32Array(steps * this.#batchSize);
      const labels = new Int32Array(indices.length).fill(-1);
      const rows = Math.min(indices.length, set.count - first);
      for (let row = 0; row < rows; row += 1) indices[row] = first + row;
      labels.set(set.labels.subarray(first, first + rows));
      await this.#program.run(steps, { indices, labels });
      yield labels;
    }
  }

  /** The same, after as many steps as the rings hold. */
  async *#runStreamed(set: StreamedSet): AsyncGenerator<Int32Array, void, void> {
    const batches = set.batches({ batchSize: this.#batchSize });
    const count = Math.ceil(set.count / this.#batchSize);
    try {
      for (let from = 0; from < count; from += ringLength) {
        const labels = new Int32Array(Math.min(ringLength, count - from) * this.#batchSize);
        await feed(this.#program, this.#inputs(batches, labels));
        yield labels;
      }
    } finally {
      await batches.return();
    }
  }

  /** The inputs of as many steps as `labels`, which it fills, holds the labels of. */
  async *#inputs(batches: AsyncGenerator<Batch, void, void>, labels: Int32Array): AsyncGenerator<Inputs, void, void> {
    for (let at = 0; at < labels.length; at += this.#batchSize) {
      const batch = await nextBatch(batches);
      labels.set(batch.labels, at);
      yield { ...batch };
    }
  }

  async #collect(
    first: number,
    steps: number,
    labels: Int32Array,
    sums: { images: number; loss: number; top1: number; top5: number },
  ): Promise<void> {
    const loss = await this.#state.read('evaluation.loss');
    const top1 = await this.#state.read('evaluation.top1');
    const top5 = await this.#state.read('evaluation.top5');
    for (let i = 0; i < steps; i += 1) {
      const at = (first + i) % ringLength;
      const rows = labels.subarray(i * this.#batchSize, (i + 1) * this.#batchSize);
      const valid = rows.reduce((count, label) => count + (label >= 0 ? 1 : 0), 0);
      sums.images += valid;
      sums.loss += (loss[at] as number) * valid;
      sums.top1 += top1[at] as number;
      sums.top5 += top5[at] as number;
    }
  }
}

/** Predicts pictures [count, height, width, channels] of uint8, batch by batch. */
export class Predictor {
  readonly #program: Program;
  readonly #info: ModelInfo;
  readonly #batchSize: number;
  /** Shapes of the end points, by name. */
  readonly #endPoints: ReadonlyMap<string, Shape>;

  private constructor(program: Program, info: ModelInfo, batchSize: number, endPoints: ReadonlyMap<string, Shape>) {
    this.#program = program;
    this.#info = info;
    this.#batchSize = batchSize;
    this.#endPoints = endPoints;
  }

  static async create(
    device: Device,
    state: State,
    graph: Graph,
    info: ModelInfo,
    batchSize: number,
    { endPoints = [] }: PredictOptions = {},
  ): Promise<Predictor> {
    const shapes = new Map(endPoints.map((name) => [name, graph.find(name).shape.slice(1)]));
    const program = await compile(graph, { device, state, keep: ['logits', ...endPoints] });
    return new Predictor(program, info, batchSize, shapes);
  }

  async predict(images: Uint8Array): Promise<Prediction[]> {
    const { height, width, channels } = this.#info.input;
    const size = height * width * channels;
    if (images.length % size !== 0) {
      throw new TrainingError(
        'ERR_OPTION',
        `predict: ${images.length} bytes are no whole number of pictures of ${height}x${width}x${channels} (${size} bytes each)`,
      );
    }
    const predictions: Prediction[] = [];
    const batch = new Uint8Array(this.#batchSize * size);
    for (let at = 0; at < images.length; at += batch.length) {
      const part = images.subarray(at, at + batch.length);
      batch.fill(0).set(part);
      await this.#program.step({ images: batch });
      const logits = (await this.#program.fetch('logits')) as Float32Array;
      const endPoints = await this.#fetchEndPoints();
      for (let row = 0; row < part.length / size; row += 1) {
        predictions.push({
          ...this.#row(logits, row),
          ...(endPoints.length > 0 && { endPoints: slices(endPoints, row) }),
        });
      }
    }
    return predictions;
  }

  close(): void {
    this.#program.close();
  }

  async #fetchEndPoints(): Promise<[string, EndPointValue][]> {
    const found: [string, EndPointValue][] = [];
    for (const [name, shape] of this.#endPoints) found.push([name, { shape, data: await this.#program.fetch(name) }]);
    return found;
  }

  #row(logits: Float32Array, row: number): Prediction {
    const { classes } = this.#info;
    const values = Array.from(logits.subarray(row * classes.length, (row + 1) * classes.length));
    return ranked(classes, softmax(values), values);
  }
}

/** The row's part of every end point of a batch. */
function slices(endPoints: readonly [string, EndPointValue][], row: number): Record<string, EndPointValue> {
  return Object.fromEntries(
    endPoints.map(([name, { shape, data }]) => {
      const size = elements(shape);
      return [name, { shape, data: data.slice(row * size, (row + 1) * size) }];
    }),
  );
}

/** From the likeliest class down. */
export function ranked(
  classes: readonly string[],
  probabilities: readonly number[],
  logits: readonly number[],
): Prediction {
  const order = classes.map((_, i) => i).sort((a, b) => (probabilities[b] as number) - (probabilities[a] as number));
  return {
    labels: order.map((i) => classes[i] as string),
    probabilities: order.map((i) => probabilities[i] as number),
    logits,
  };
}

export function softmax(logits: readonly number[]): number[] {
  const most = Math.max(...logits);
  const powers = logits.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

export interface InferenceOptions {
  readonly device: Device;
  /** Built as the checkpoint says, or with weights of its own (see loadWeights). */
  readonly model: Module;
  /** A checkpoint of ours; without one the model's own initial values count, and `info` says what they are for. */
  readonly checkpoint?: Checkpoint;
  readonly info?: ModelInfo;
  readonly batchSize?: number;
  readonly ampDtype?: AmpDtype;
}

export async function evaluateCheckpoint(
  options: InferenceOptions & { readonly set: ImageSet | StreamedSet },
): Promise<Evaluation> {
  const forward = forwardOptions(options);
  const graph = evaluationGraph({ ...forward, set: options.set });
  checkLabels(options.set, classesOf(graph));
  const state = await loadedState(options, graph);
  const evaluator = await Evaluator.create(options.device, state, graph, options.set, forward.batchSize);
  try {
    return await evaluator.evaluate();
  } finally {
    evaluator.close();
    state.close();
  }
}

export async function predictCheckpoint(
  options: InferenceOptions & PredictOptions & { readonly images: Uint8Array },
): Promise<Prediction[]> {
  const forward = forwardOptions(options);
  const info = infoOf(options);
  const graph = predictionGraph({ ...forward, size: info.input });
  const state = await loadedState(options, graph);
  const { device, endPoints = [] } = options;
  const predictor = await Predictor.create(device, state, graph, info, forward.batchSize, { endPoints });
  try {
    return await predictor.predict(options.images);
  } finally {
    predictor.close();
    state.close();
  }
}

function infoOf({ checkpoint, info = checkpoint?.info.model }: InferenceOptions): ModelInfo {
  if (info) return info;
  throw new TrainingError(
    'ERR_OPTION',
    'inference: neither checkpoint nor info is given; one must say what the model is',
  );
}

function forwardOptions(options: InferenceOptions): ForwardOptions {
  const { model, batchSize = 100, ampDtype = 'float32' } = options;
  return { model, batchSize, ampDtype, normalisation: infoOf(options).normalisation };
}

async function loadedState({ device, model, checkpoint }: InferenceOptions, graph: Graph): Promise<State> {
  const shapes = new Map(
    [...model.namedParameters(), ...model.namedBuffers()].map(([name, { shape }]) => [name, shape] as const),
  );
  if (checkpoint) checkSameVariables(checkpoint, shapes, isTrainingState);
  const state = await device.createState(variablesOf(graph));
  if (!checkpoint) return state;
  // Auxiliary heads are part of the model, but not of this graph.
  for (const name of [...shapes.keys()].filter((name) => graph.has(name))) {
    const { variables } = checkpoint;
    const weights = variables.get(`${averagePrefix}.${name}`) ?? variables.get(name); // averages, where there are any
    await state.write(name, (weights as Variable).data);
  }
  return state;
}

function isTrainingState(name: string): boolean {
  return name.startsWith('optimizer.') || name.startsWith(`${averagePrefix}.`) || name === 'step' || name === 'seed';
}
