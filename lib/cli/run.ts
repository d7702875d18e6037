// One training run as `train` and `start` have it: data, trainer, signals, and words on how it went.
import { join } from 'node:path';
import type { DataSet, StreamedDataSet } from '../data/index.ts';
import { type Classifier, createModel, type ModelOptions } from '../models/index.ts';
import {
  type FitResult,
  type LossScaling,
  optimizerOf,
  type PictureChoice,
  readCheckpointInfo,
  scheduleOf,
  Trainer,
} from '../train/index.ts';
import { checkPrecision } from '../train/options.ts';
import { RunFolder } from '../train/output.ts';
import type { Output } from './command.ts';
import { compiledEnginesOf, type DeviceChoice, withDevice } from './common.ts';
import type { Configuration } from './configuration.ts';
import { asLoaded, describeSet, leftOut, loadData } from './data.ts';
import { openWeights, picturesOf } from './weights.ts';

/** What a machine computes with; the rest of a device's options are the configuration's. */
type Machine = Pick<DeviceChoice, 'device' | 'threads' | 'compiled-engines'>;

export interface RunRequest extends Machine {
  readonly configuration: Configuration;
  readonly folder: string;
  readonly resume?: string | undefined;
  readonly overwrite?: boolean | undefined;
  readonly recoveryInterval?: number | undefined;
  readonly logInterval?: number | undefined;
  readonly skipDamaged?: boolean | undefined;
  /** Threads that read pictures. */
  readonly workers?: number | undefined;
}

export interface RunSummary {
  readonly folder: string;
  readonly result: FitResult;
}

/**
 * Runs to the end, or until Ctrl-C. Model, device and folder are tried before the data is loaded; `use` may look at the trained network before its memory
 * is freed.
 */
export async function train(
  request: RunRequest,
  output: Output,
  use: (trainer: Trainer, data: DataSet | StreamedDataSet, result: FitResult) => Promise<void> = async () => undefined,
): Promise<RunSummary> {
  const { configuration, folder, resume, overwrite = false } = request;
  frozen(createModel(configuration.model, asked(configuration)), configuration);
  await withDevice({ ...request, ...configuration }, async (device) => checkPrecision(device, configuration.ampDtype));
  await RunFolder.open(folder, { overwrite, resume });
  const { skipDamaged, workers } = request;
  const wanted = await wantedPictures(configuration, resume);
  const data = await loadData({ ...configuration, wanted, skipDamaged, workers }, output);
  output.line(describeSet(data));
  const loaded = { ...request, configuration: asLoaded(configuration, data, wanted) };
  const trainer = await Trainer.create(await trainerOptions(loaded, data, output));
  try {
    output.line(`${trainer.device.description}; ${configuration.model} in ${configuration.ampDtype}`);
    output.line(`writing to ${folder}; Ctrl-C saves and stops`);
    const result = await interruptible(output, (signal) => trainer.fit({ signal }));
    for (const line of leftOut(data)) output.line(line);
    await use(trainer, data, result);
    return { folder, result };
  } finally {
    await trainer.close();
  }
}

/** What the recipe says of pictures, and before it the weights; a checkpoint that is resumed says all itself. */
async function wantedPictures(configuration: Configuration, resume: string | undefined): Promise<PictureChoice> {
  if (resume !== undefined) return {};
  const { weights, model, recipe } = configuration;
  return { ...recipe.pictures, ...(weights !== undefined && (await picturesOf(weights, model))) };
}

/** What flags and recipe say of the network, beside its name. */
function asked({ recipe: { drop }, auxLogits }: Configuration): ModelOptions {
  return { ...(drop !== undefined && { dropout: drop }), ...(auxLogits && { auxiliaryHeads: true }) };
}

/** The network, and what normalises its pictures where flags or weights say it; a checkpoint that is resumed has both. */
async function network(configuration: Configuration, options: ModelOptions, resume: string | undefined) {
  const { model: name, weights, mean, std } = configuration;
  if (weights === undefined) {
    const normalisation = mean && std ? { mean, std } : undefined;
    return { model: frozen(createModel(name, options), configuration), ...(normalisation && { normalisation }) };
  }
  if (resume !== undefined) {
    const { normalisation } = (await readCheckpointInfo(resume)).model;
    return { model: frozen(createModel(name, options), configuration), normalisation };
  }
  const flags = { model: name, ...(mean && { mean: [...mean] }), ...(std && { std: [...std] }) };
  const { model, info } = await openWeights(weights, flags, options);
  if (info.classes.length !== options.numClasses) model.replaceHead(options.numClasses as number);
  return { model: frozen(model, configuration), normalisation: info.normalisation };
}

function lossScaling({ initialLossScale, lossScaleWindow }: Configuration): LossScaling {
  return {
    ...(initialLossScale !== undefined && { initial: initialLossScale }),
    ...(lossScaleWindow !== undefined && { interval: lossScaleWindow }),
  };
}

function frozen(model: Classifier, { freezeUntil }: Configuration): Classifier {
  return freezeUntil === undefined ? model : model.freezeUntil(freezeUntil);
}

async function trainerOptions(request: RunRequest, data: DataSet | StreamedDataSet, output: Output) {
  const { configuration, folder, resume } = request;
  const { recipe } = configuration;
  const { classes, train } = data;
  const modelOptions = {
    ...{ numClasses: classes.length, inChannels: train.channels, ...asked(configuration) },
    ...(configuration.auxLogits && { imageSize: train.height }),
  };
  return {
    ...(await network(configuration, modelOptions, resume)),
    modelName: configuration.model,
    modelOptions,
    data,
    batchSize: recipe.batchSize,
    epochs: recipe.epochs,
    optimizer: optimizerOf(recipe),
    schedule: scheduleOf(recipe, Math.max(1, Math.floor(data.train.count / recipe.batchSize))),
    augment: { padding: recipe.padding, flip: recipe.flip },
    smoothing: recipe.smoothing,
    ...(recipe.modelEma && { emaDecay: recipe.modelEmaDecay }),
    ampDtype: configuration.ampDtype,
    lossScaling: lossScaling(configuration),
    tf32: configuration.tf32,
    deterministic: configuration.deterministic,
    seed: configuration.seed,
    output: folder,
    progress: output.log,
    configuration: { ...configuration },
    ...(request.overwrite && { overwrite: true }),
    ...(request.device !== undefined && { device: request.device }),
    ...(request.threads !== undefined && { threads: request.threads }),
    ...compiledEnginesOf(request),
    ...(request.resume !== undefined && { resume: request.resume }),
    ...(request.recoveryInterval !== undefined && { recoveryInterval: request.recoveryInterval }),
    ...(request.logInterval !== undefined && { stepsPerCall: request.logInterval }),
  };
}

/** The first SIGINT or SIGTERM aborts the signal, a second one ends the process. */
async function interruptible<T>(output: Output, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
    output.line('\nfinishing the running steps and saving; press Ctrl-C again to stop at once');
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    return await task(controller.signal);
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}

export function lastOf(folder: string): string {
  return join(folder, 'last.safetensors');
}

export function bestOf(folder: string): string {
  return join(folder, 'best.safetensors');
}
