import { channelStatistics } from '../data/statistics.ts';
import { type DataSet, isStreamed, type StreamedDataSet } from '../data/types.ts';
import type { Module } from '../nn/index.ts';
import type { Optimizer, Schedule } from '../optim/index.ts';
import type { Device, DeviceOptions } from '../program.ts';
import type { Callback } from './callbacks.ts';
import type { Checkpoint, CheckpointInfo, ModelInfo } from './checkpoint.ts';
import { TrainingError } from './errors.ts';
import { checkLabels } from './labels.ts';
import type { LossScaling } from './loss-scale.ts';
import type { ProgressStream } from './progress.ts';
import { checkedRate } from './runner.ts';
import { type AmpDtype, ringLength } from './step.ts';

export interface TrainerOptions {
  readonly model: Module;
  /** Under which createModel() knows the model, and with which options; kept in checkpoints. */
  readonly modelName?: string;
  readonly modelOptions?: Readonly<Record<string, unknown>>;
  /** In memory, and then in the device's; or read while the run goes on, from openStream(). */
  readonly data: DataSet | StreamedDataSet;
  /** What is taken off pixel / 255, and by what the rest is divided. Default: mean and standard deviation of the
   * training pictures; of ImageNet's where the set streams. */
  readonly normalisation?: ModelInfo['normalisation'];
  /** 'cpu' (default), 'reference', 'cuda:0' ...; one that is not there is an error. */
  readonly device?: string;
  /** Default: as many as physical cores. */
  readonly threads?: number;
  /** CUDA: float32 products may round their operands to tf32. A CPU never does. Default false. */
  readonly tf32?: boolean;
  /** CUDA: equal runs give equal bits. On a CPU they always do, for an equal number of threads. Default false. */
  readonly deterministic?: boolean;
  /** CUDA: whether engines that cuDNN compiles take the place of kernels for batch norm and pooling. Default 'never'. */
  readonly compiledEngines?: DeviceOptions['compiledEngines'];
  readonly batchSize: number;
  readonly epochs: number;
  readonly optimizer: Optimizer;
  /** Learning rate by step, counted from 0 over the whole run. */
  readonly schedule: Schedule;
  /** Black border in pixels before the random crop, and mirroring of half the pictures. Default: neither. A set that
   * streams brings its own. */
  readonly augment?: { readonly padding?: number; readonly flip?: boolean };
  /** Label smoothing. Default 0. */
  readonly smoothing?: number;
  /** Keeps moving averages of the weights with this decay, from 0 to below 1; evaluation and prediction use them. */
  readonly emaDecay?: number;
  /** Precision of convolutions and what stands between them. Default 'float32'. Not every device has the others. */
  readonly ampDtype?: AmpDtype;
  /** How the factor on the loss adjusts itself in float16. Default as torch.amp.GradScaler. */
  readonly lossScaling?: LossScaling;
  /** Of initial weights, order and augmentation: 0 to 2^31 - 1. Default 0. */
  readonly seed?: number;
  /** Folder for checkpoints and metrics. Without it nothing is written. */
  readonly output?: string;
  /** Replaces the run that `output` holds. */
  readonly overwrite?: boolean;
  /** Checkpoint to continue from; the same model, data, batch size and seed give the uninterrupted run's result, bit by bit. */
  readonly resume?: string;
  /** Saves last.safetensors every so many steps, besides the end of every epoch. */
  readonly recoveryInterval?: number;
  /** Steps per native call, up to 256. Default: about a quarter of a second's worth. */
  readonly stepsPerCall?: number;
  readonly callbacks?: readonly Callback[];
  /** Where the progress line goes. Default process.stdout; false: nowhere. */
  readonly progress?: ProgressStream | false;
  /** Kept in checkpoints and configuration.json, for those who start the run again. */
  readonly configuration?: Readonly<Record<string, unknown>>;
}

/** Everything that can be said to be wrong before a device is opened. */
export function checkOptions(options: TrainerOptions): void {
  const { data, batchSize, epochs } = options;
  integer('batchSize', batchSize, 1);
  integer('epochs', epochs, 1);
  integer('seed', options.seed ?? 0, 0);
  if (options.recoveryInterval !== undefined) integer('recoveryInterval', options.recoveryInterval, 1);
  if (options.stepsPerCall !== undefined) integer('stepsPerCall', options.stepsPerCall, 1, ringLength);
  if (data.train.count < batchSize) {
    throw new TrainingError(
      'ERR_OPTION',
      `batchSize is ${batchSize}, but ${data.name} has only ${data.train.count} training pictures; choose a smaller batch`,
    );
  }
  if (data.test.count === 0) {
    throw new TrainingError(
      'ERR_OPTION',
      `${data.name} has no test pictures; add a folder test or val with at least one`,
    );
  }
  for (const set of [data.train, data.test]) checkLabels(set, data.classes.length);
  checkLossScaling(options.lossScaling ?? {});
  const stepsPerEpoch = Math.floor(data.train.count / batchSize);
  for (let epoch = 0; epoch < epochs; epoch += 1) checkedRate(options.schedule, epoch * stepsPerEpoch);
}

function checkLossScaling({ initial = 1, growth = 1, backoff = 0.5, interval = 1 }: LossScaling): void {
  const finite = (value: number) => Number.isFinite(Math.fround(value));
  within('lossScaling.initial', initial, initial > 0 && finite(initial), 'a number above 0 that float32 holds');
  within('lossScaling.growth', growth, growth >= 1 && finite(growth), 'a number of at least 1');
  within('lossScaling.backoff', backoff, backoff > 0 && backoff < 1, 'a number between 0 and 1');
  integer('lossScaling.interval', interval, 1);
}

function within(name: string, value: number, holds: boolean, wanted: string): void {
  if (!holds) throw new TrainingError('ERR_OPTION', `${name} is ${value}; give ${wanted}`);
}

function integer(name: string, value: number, least: number, most = 2 ** 31 - 1): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new TrainingError('ERR_OPTION', `${name} is ${value}; give an integer from ${least} to ${most}`);
}

/** Before anything is loaded or built for it. */
export function checkPrecision({ name, features }: Device, ampDtype: AmpDtype): void {
  if (ampDtype !== 'float16' || features.has('dtype:float16')) return;
  throw new TrainingError(
    'ERR_OPTION',
    `device '${name}' does not compute in float16; train in float32 or bfloat16 (--amp-dtype), or on a device that ` +
      "has float16: 'cuda:0', or 'reference', which is slow (--device)",
  );
}

// As torchvision and timm use them.
const imageNet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** The model's name, its classes, and what normalises its pictures. */
export function modelInfo(options: TrainerOptions): ModelInfo {
  const { data } = options;
  const { height, width, channels } = data.train;
  const { mean, std } = options.normalisation ?? (isStreamed(data.train) ? imageNet : channelStatistics(data.train));
  return {
    name: options.modelName ?? options.model.constructor.name,
    options: options.modelOptions ?? {},
    classes: data.classes,
    input: { height, width, channels },
    normalisation: { mean, std: std.map((value) => value || 1) },
  };
}

/** A run goes on only with what it began with: these would change what is learned without a word. */
export function checkResumable(
  { file, info }: Checkpoint,
  now: Pick<CheckpointInfo, 'model' | 'seed' | 'batchSize' | 'stepsPerEpoch'>,
): void {
  const differences = [
    differs('model', info.model.name, now.model.name),
    differs('classes', info.model.classes, now.model.classes),
    differs('picture size', info.model.input, now.model.input),
    differs('normalisation', info.model.normalisation, now.model.normalisation),
    differs('seed', info.seed, now.seed),
    differs('batch size', info.batchSize, now.batchSize),
    differs('steps per epoch', info.stepsPerEpoch, now.stepsPerEpoch),
  ].filter((line) => line !== undefined);
  if (differences.length === 0) return;
  throw new TrainingError(
    'ERR_CHECKPOINT',
    `checkpoint ${file} cannot be continued with these settings:\n${differences.join('\n')}\n` +
      'resume with the data and settings that it was made with, or start a new run',
  );
}

function differs(what: string, checkpoint: unknown, now: unknown): string | undefined {
  const [a, b] = [JSON.stringify(checkpoint), JSON.stringify(now)];
  return a === b ? undefined : `  ${what}: the checkpoint has ${a}, this run ${b}`;
}
