import { Device, type Program, type State, variablesOf } from '../program.ts';
import type { Callback, TrainingControl } from './callbacks.ts';
import {
  allFinite,
  type Checkpoint,
  type CheckpointInfo,
  checkSameVariables,
  type ModelInfo,
  type Position,
  readCheckpoint,
  type Variable,
  writeCheckpoint,
} from './checkpoint.ts';
import { TrainingError } from './errors.ts';
import { type Evaluation, Evaluator, type Prediction, type PredictOptions, Predictor } from './inference.ts';
import { checkLabels, classesOf } from './labels.ts';
import { type LossScaleMetrics, lossScaleMetrics, SkippedSteps } from './loss-scale.ts';
import { compileToFit } from './memory.ts';
import { addSteps, type EpochMetrics, meanLoss, noSums } from './metrics.ts';
import { checkOptions, checkPrecision, checkResumable, modelInfo, type TrainerOptions } from './options.ts';
import { RunFolder } from './output.ts';
import { describePreparation, ProgressLine } from './progress.ts';
import { StepRunner } from './runner.ts';
import { evaluationGraph, predictionGraph, trainingGraph, transient } from './step.ts';
import { saveWeights } from './weights.ts';

export interface FitResult {
  /** 'stopped': a callback set stopTraining; 'interrupted': the signal was aborted, and the run saved. */
  readonly status: 'completed' | 'stopped' | 'interrupted';
  readonly epoch: number;
  readonly step: number;
  readonly bestAccuracy: number | null;
  /** Of the epochs of this call. */
  readonly history: readonly EpochMetrics[];
}

const startPosition: Position = { epoch: 0, stepOfEpoch: 0, step: 0, sums: noSums, bestAccuracy: null, callbacks: {} };

/** Trains a model on a data set that is resident in device memory, or streams. */
export class Trainer implements TrainingControl {
  readonly info: ModelInfo;
  readonly device: Device;
  readonly epochs: number;
  stopTraining = false;
  readonly #options: TrainerOptions;
  readonly #state: State;
  readonly #program: Program;
  readonly #runner: StepRunner;
  readonly #evaluator: Evaluator;
  readonly #folder: RunFolder | undefined;
  readonly #callbacks: readonly Callback[];
  readonly #skips = new SkippedSteps();
  #predictor: Predictor | undefined;
  #position: Position;
  /** The checkpoint that holds the newest state known to be good. */
  #saved: { file: string; step: number } | undefined;

  /** Checks everything that can be checked, then takes device memory, then touches the output folder. */
  static async create(options: TrainerOptions): Promise<Trainer> {
    checkOptions(options);
    const { output, overwrite = false, resume } = options;
    const folder = output === undefined ? undefined : await RunFolder.open(output, { overwrite, resume });
    const checkpoint = resume === undefined ? undefined : await readCheckpoint(resume);
    const info = modelInfo(options);
    if (checkpoint) checkResumable(checkpoint, checkpointHead(options, info));
    const { device: name = 'cpu', threads, tf32 = false, deterministic = false, compiledEngines } = options;
    const device = await Device.open(name, {
      ...(threads !== undefined && { threads }),
      ...{ tf32, deterministic },
      ...(compiledEngines !== undefined && { compiledEngines }),
    });
    try {
      checkPrecision(device, options.ampDtype ?? 'float32');
      const { progress = process.stdout } = options;
      const preparing = build(options, info, device, checkpoint);
      const parts = await (progress
        ? new ProgressLine(progress).during(describePreparation(device), preparing)
        : preparing);
      const position = checkpoint?.info.position ?? startPosition;
      const trainer = new Trainer(options, info, device, folder, position, parts);
      await trainer.#claimFolder(checkpoint);
      return trainer;
    } catch (error) {
      await device.close();
      throw error;
    }
  }

  private constructor(
    options: TrainerOptions,
    info: ModelInfo,
    device: Device,
    folder: RunFolder | undefined,
    position: Position,
    parts: Parts,
  ) {
    this.#options = options;
    this.info = info;
    this.device = device;
    this.epochs = options.epochs;
    this.#folder = folder;
    this.#position = position;
    this.#state = parts.state;
    this.#program = parts.program;
    this.#evaluator = parts.evaluator;
    this.#runner = parts.runner;
    const { progress = process.stdout, callbacks = [] } = options;
    this.#callbacks = progress === false ? callbacks : [...callbacks, new ProgressLine(progress)];
    for (const callback of this.#callbacks) {
      const state = position.callbacks[callback.name ?? ''];
      if (state) callback.restore?.(state);
    }
  }

  /** Trains until all epochs are done, a callback stops the run, or `signal` is aborted; then saves and returns. */
  async fit({ signal }: { readonly signal?: AbortSignal } = {}): Promise<FitResult> {
    this.stopTraining = false;
    for (const callback of this.#callbacks) await callback.onTrainBegin?.(this);
    try {
      return await this.#epochs(signal);
    } finally {
      for (const callback of this.#callbacks) await callback.onTrainEnd?.(this);
    }
  }

  /** Loss and accuracies over the test set. */
  evaluate(): Promise<Evaluation> {
    return this.#evaluator.evaluate();
  }

  /** Predicts pictures [count, height, width, channels] of uint8. */
  async predict(images: Uint8Array, options: PredictOptions = {}): Promise<Prediction[]> {
    if (!options.endPoints) {
      this.#predictor ??= await this.#createPredictor({});
      return this.#predictor.predict(images);
    }
    const predictor = await this.#createPredictor(options);
    try {
      return await predictor.predict(images);
    } finally {
      predictor.close();
    }
  }

  /** Writes everything that the run needs to go on to `file`, in one step: a failure leaves the old file as it was. */
  async save(file: string): Promise<void> {
    const variables = await this.#variables();
    const head = checkpointHead(this.#options, this.info);
    const position = { ...this.#position, callbacks: this.#callbackStates() };
    try {
      await writeCheckpoint(file, variables, { ...head, position, configuration: this.#options.configuration ?? {} });
    } catch (cause) {
      throw new TrainingError(
        'ERR_SAVE',
        `checkpoint of step ${this.#position.step} could not be saved: ${(cause as Error).message}; ${this.#lastGood()}`,
        { cause },
      );
    }
    this.#saved = { file, step: this.#position.step };
  }

  /** Writes the network alone, under the names of torchvision and timm, with what its pictures need (see loadWeights). */
  async saveWeights(file: string): Promise<void> {
    const { name, classes, normalisation, input } = this.info;
    const info = { architecture: name, labels: classes, ...normalisation, imageSize: input.height };
    await saveWeights(file, this.#options.model, this.#state, info);
  }

  /** Frees the device. */
  async close(): Promise<void> {
    this.#predictor?.close();
    this.#evaluator.close();
    this.#program.close();
    this.#state.close();
    await this.device.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The folder is changed only after everything that can fail before training has not. */
  async #claimFolder(checkpoint: Checkpoint | undefined): Promise<void> {
    const configuration = this.#options.configuration ?? {};
    if (checkpoint) {
      await this.#folder?.continue(checkpoint.file, checkpoint.info.position.epoch, configuration);
      this.#saved = { file: checkpoint.file, step: checkpoint.info.position.step };
    } else await this.#folder?.begin(configuration);
  }

  async #epochs(signal: AbortSignal | undefined): Promise<FitResult> {
    const history: EpochMetrics[] = [];
    while (this.#position.epoch < this.epochs && !this.stopTraining) {
      if (!(await this.#trainEpoch(signal))) {
        await this.#saveLast();
        return this.#result('interrupted', history);
      }
      history.push(await this.#finishEpoch());
    }
    return this.#result(this.#position.epoch < this.epochs ? 'stopped' : 'completed', history);
  }

  /** Runs what is left of the current epoch; false if the signal came first. */
  async #trainEpoch(signal: AbortSignal | undefined): Promise<boolean> {
    const { epoch, stepOfEpoch } = this.#position;
    if (stepOfEpoch === 0) for (const callback of this.#callbacks) await callback.onEpochBegin?.(epoch + 1, this);
    while (this.#position.stepOfEpoch < this.#runner.stepsPerEpoch) {
      if (signal?.aborted) return false;
      await this.#call();
    }
    return !signal?.aborted;
  }

  /** One native call, up to the next point where the run saves. */
  async #call(): Promise<void> {
    const before = this.#position;
    const { recoveryInterval = Infinity } = this.#options;
    const toSave = recoveryInterval - (before.step % recoveryInterval);
    const toEnd = this.#runner.stepsPerEpoch - before.stepOfEpoch;
    const steps = Math.min(this.#runner.callLength, toEnd, toSave);
    const records = await this.#runner.run(before.epoch, before.stepOfEpoch, steps);
    const bad = records.losses.findIndex((loss) => !Number.isFinite(loss));
    if (bad >= 0 && this.#options.ampDtype !== 'float16')
      throw this.#notFinite(`loss is ${records.losses[bad]}`, before.step + bad + 1);
    this.#position = {
      ...before,
      step: before.step + steps,
      stepOfEpoch: before.stepOfEpoch + steps,
      sums: addSteps(before.sums, records, this.#options.batchSize, records.seconds),
    };
    const scaling = await lossScaleMetrics(this.#state, this.#position.step);
    const fault = this.#skips.fault(scaling, steps);
    if (fault !== undefined) throw this.#notFinite(fault, this.#position.step);
    await this.#report(records.losses, scaling);
    if (steps === toSave && steps < toEnd) await this.#saveLast();
  }

  async #report(losses: readonly number[], scaling: LossScaleMetrics): Promise<void> {
    const { epoch, step, stepOfEpoch, sums } = this.#position;
    const { stepsPerEpoch } = this.#runner;
    const progress = {
      epoch: epoch + 1,
      epochs: this.epochs,
      step,
      stepOfEpoch,
      stepsPerEpoch,
      loss: meanLoss(sums),
      accuracy: sums.correct / sums.images,
      imagesPerSecond: sums.images / sums.seconds,
      memoryBytes: this.device.memory().bytes,
      remainingSeconds: ((this.epochs * stepsPerEpoch - step) * sums.seconds) / sums.steps,
      losses,
      ...scaling,
    };
    for (const callback of this.#callbacks) await callback.onStepsEnd?.(progress, this);
  }

  async #finishEpoch(): Promise<EpochMetrics> {
    const { epoch, step, sums, bestAccuracy } = this.#position;
    const test = await this.evaluate();
    const metrics: EpochMetrics = {
      epoch: epoch + 1,
      step,
      trainLoss: meanLoss(sums),
      trainAccuracy: sums.correct / sums.images,
      testLoss: test.loss,
      testAccuracy: test.top1,
      imagesPerSecond: sums.images / sums.seconds,
      seconds: sums.seconds,
      ...(await lossScaleMetrics(this.#state, step)),
    };
    const improved = test.top1 > (bestAccuracy ?? -1);
    this.#position = {
      ...this.#position,
      epoch: epoch + 1,
      stepOfEpoch: 0,
      sums: noSums,
      bestAccuracy: improved ? test.top1 : bestAccuracy,
    };
    for (const callback of this.#callbacks) await callback.onEpochEnd?.(metrics, this);
    if (improved && this.#folder) await this.save(this.#folder.best);
    await this.#folder?.metrics.append(metrics);
    await this.#saveLast();
    return metrics;
  }

  #result(status: FitResult['status'], history: readonly EpochMetrics[]): FitResult {
    const { epoch, step, bestAccuracy } = this.#position;
    return { status, epoch, step, bestAccuracy, history };
  }

  async #saveLast(): Promise<void> {
    if (this.#folder) await this.save(this.#folder.last);
  }

  async #variables(): Promise<Map<string, Variable>> {
    const variables = new Map<string, Variable>();
    for (const name of this.#state.names) {
      if (transient.has(name)) continue;
      const { shape, dtype } = this.#state.spec(name);
      const data = await this.#state.read(name);
      if (!(await allFinite(data))) {
        throw this.#notFinite(`variable ${name} holds numbers that are not finite`, this.#position.step);
      }
      variables.set(name, { shape, dtype, data });
    }
    return variables;
  }

  #callbackStates(): Position['callbacks'] {
    const entries = this.#callbacks.flatMap((callback) =>
      callback.name !== undefined && callback.state ? [[callback.name, callback.state()] as const] : [],
    );
    return Object.fromEntries(entries);
  }

  #notFinite(what: string, step: number): TrainingError {
    return new TrainingError(
      'ERR_NOT_FINITE',
      `${what} after step ${step} (epoch ${this.#position.epoch + 1}): the training has diverged; ${this.#lastGood()}. ` +
        'Lower the learning rate, warm it up, or clip gradients (--lr, --warmup-epochs, --clip-grad)',
    );
  }

  #lastGood(): string {
    if (this.#saved === undefined) return 'no checkpoint was written yet';
    return `the last good checkpoint is ${this.#saved.file} (step ${this.#saved.step})`;
  }

  #createPredictor(endPoints: PredictOptions): Promise<Predictor> {
    const { model, batchSize, ampDtype = 'float32', emaDecay } = this.#options;
    const averaged = emaDecay !== undefined;
    const { normalisation, input: size } = this.info;
    const graph = predictionGraph({ model, batchSize, ampDtype, averaged, normalisation, size });
    return Predictor.create(this.device, this.#state, graph, this.info, batchSize, endPoints);
  }
}

interface Parts {
  readonly state: State;
  readonly program: Program;
  readonly evaluator: Evaluator;
  readonly runner: StepRunner;
}

async function build(
  options: TrainerOptions,
  info: ModelInfo,
  device: Device,
  checkpoint?: Checkpoint,
): Promise<Parts> {
  const {
    model,
    data,
    batchSize,
    optimizer,
    smoothing = 0,
    ampDtype = 'float32',
    seed = 0,
    emaDecay,
    lossScaling,
    schedule,
    stepsPerCall,
  } = options;
  const forward = { model, batchSize, ampDtype, normalisation: info.normalisation };
  const augment = { padding: 0, flip: false, ...options.augment };
  const graphOf = (size: number) =>
    trainingGraph({
      ...{ ...forward, batchSize: size, set: data.train, optimizer, augment },
      ...{ smoothing, emaDecay, lossScaling, seed },
    });
  const evaluation = evaluationGraph({ ...forward, averaged: emaDecay !== undefined, set: data.test });
  for (const set of [data.train, data.test]) checkLabels(set, classesOf(evaluation));
  const state = await device.createState(variablesOf(graphOf(batchSize), evaluation), { seed });
  if (checkpoint) await load(state, checkpoint);
  const program = await compileToFit(graphOf, batchSize, { device, state });
  const evaluator = await Evaluator.create(device, state, evaluation, data.test, batchSize);
  const runner = new StepRunner({ program, state, schedule, batchSize, set: data.train, seed, stepsPerCall });
  return { state, program, evaluator, runner };
}

async function load(state: State, checkpoint: Checkpoint): Promise<void> {
  const wanted = state.names.filter((name) => !transient.has(name));
  checkSameVariables(checkpoint, new Map(wanted.map((name) => [name, state.spec(name).shape])), () => false);
  for (const name of wanted) await state.write(name, (checkpoint.variables.get(name) as Variable).data);
}

function checkpointHead(
  { data, batchSize, seed = 0 }: TrainerOptions,
  model: ModelInfo,
): Pick<CheckpointInfo, 'model' | 'seed' | 'batchSize' | 'stepsPerEpoch'> {
  return { model, seed, batchSize, stepsPerEpoch: Math.floor(data.train.count / batchSize) };
}
