// How a run was asked for: what `train` keeps in its checkpoints, so that `--resume` needs nothing else.
import { dirname, join } from 'node:path';
import { modelNames } from '../models/index.ts';
import {
  type AmpDtype,
  type CheckpointInfo,
  completed,
  optimizerNames,
  type PictureChoice,
  type Recipe,
  recipes,
  scheduleNames,
  TrainingError,
} from '../train/index.ts';
import { UsageError, type Values } from './args.ts';
import { auxOption, lossScaleOptions } from './common.ts';
import { pictureChoice, pictureOptions } from './picture-options.ts';

export const recipeOptions = {
  recipe: {
    type: 'text',
    choices: Object.keys(recipes),
    value: 'NAME',
    description: `defaults of the flags below (default short): ${Object.keys(recipes).join(', ')}`,
  },
  epochs: { type: 'integer', min: 1, value: 'N', description: 'passes over the training set' },
  'batch-size': { type: 'integer', min: 1, value: 'N', description: 'pictures per step' },
  lr: { type: 'number', above: 0, value: 'RATE', description: 'learning rate; the peak of onecycle' },
  sched: { type: 'text', choices: scheduleNames, value: 'NAME', description: `schedule: ${scheduleNames.join(', ')}` },
  'decay-milestones': {
    type: 'integers',
    min: 1,
    value: 'N,N',
    description: 'step: epochs after which the rate is multiplied (default: half and three quarters of all)',
  },
  'decay-rate': { type: 'number', above: 0, value: 'FACTOR', description: 'step, exponential: by what (default 0.1)' },
  'decay-epochs': { type: 'number', above: 0, value: 'N', description: 'exponential: in how many epochs (default 30)' },
  staircase: { type: 'switch', description: 'exponential: at once at their end, not little by little' },
  power: { type: 'number', above: 0, value: 'P', description: 'polynomial: its power (default 1)' },
  'min-lr': { type: 'number', min: 0, value: 'RATE', description: 'cosine, polynomial: rate at the end (default 0)' },
  'warmup-epochs': {
    type: 'integer',
    min: 0,
    value: 'N',
    description: 'all but onecycle: epochs of rising rate (default 0)',
  },
  'warmup-lr': {
    type: 'number',
    min: 0,
    value: 'RATE',
    description: 'rate at the start of the warm-up (default 1e-5)',
  },
  opt: { type: 'text', choices: optimizerNames, value: 'NAME', description: `optimizer: ${optimizerNames.join(', ')}` },
  momentum: {
    type: 'number',
    min: 0,
    max: 0.9999,
    value: 'M',
    description: 'sgd (Nesterov), lars: momentum (default 0.9)',
  },
  'opt-betas': { type: 'numbers', min: 0, max: 0.99999, value: 'B,B', description: 'adam, adamw (default 0.9,0.999)' },
  'opt-eps': { type: 'number', min: 0, value: 'E', description: 'adam, adamw: beside the root (default 1e-8)' },
  'trust-coefficient': { type: 'number', above: 0, value: 'T', description: 'lars: trust (default 0.001)' },
  'weight-decay': { type: 'number', min: 0, value: 'W', description: 'L2 penalty; adamw, lars: their own decay' },
  smoothing: { type: 'number', min: 0, max: 0.9999, value: 'S', description: 'label smoothing (default 0)' },
  drop: {
    type: 'number',
    min: 0,
    max: 0.9999,
    value: 'P',
    description: "share that dropout zeroes before the last layer (default: the network's own, of those that have it)",
  },
  'clip-grad': { type: 'number', above: 0, value: 'NORM', description: 'largest norm of all gradients together' },
  'model-ema': { type: 'switch', description: 'keep moving averages of the weights; evaluate and save them' },
  'model-ema-decay': {
    type: 'number',
    min: 0,
    max: 0.999999,
    value: 'D',
    description: 'what stays of them at each step (default 0.9998)',
  },
  'no-aug': { type: 'switch', description: 'neither random crops (4 pixels of padding) nor flips' },
} as const;

const normalisationDefault = "default: the weights', else the pictures' own, or ImageNet's where they stream";

export const runOptions = {
  model: { type: 'text', value: 'NAME', description: `network (default cifar-resnet20): ${modelNames().join(', ')}` },
  data: {
    type: 'text',
    value: 'SET',
    description:
      'cifar10, cifar100, cifar10-mini (default), synthetic, a folder or tar archive with train and test, or a folder ' +
      'of shards (train-000000.tar ...)',
  },
  weights: {
    type: 'text',
    value: 'FILE',
    description:
      'begin with these weights (safetensors, names of torchvision or timm); another number of classes gets a new head',
  },
  'freeze-until': {
    type: 'text',
    value: 'LAYER',
    description: 'leave all that stands before LAYER as it is, such as layer4',
  },
  ...auxOption,
  ...pictureOptions,
  mean: { type: 'numbers', value: 'R,G,B', description: `taken off pixel / 255 (${normalisationDefault})` },
  std: { type: 'numbers', above: 0, value: 'R,G,B', description: 'by what the rest is divided' },
  seed: {
    type: 'integer',
    min: 0,
    max: 2 ** 31 - 1,
    value: 'N',
    description: 'of weights, order and crops (default 0)',
  },
  ...recipeOptions,
} as const;

/** All numbers that decide what a run learns. */
export interface Configuration extends PictureChoice {
  readonly model: string;
  readonly weights?: string;
  readonly freezeUntil?: string;
  readonly auxLogits?: boolean;
  readonly data: string;
  /** Of the channels; without, those of the weights, or of the pictures. */
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly seed: number;
  readonly ampDtype: AmpDtype;
  readonly initialLossScale?: number;
  readonly lossScaleWindow?: number;
  readonly tf32: boolean;
  readonly deterministic: boolean;
  readonly recipe: Recipe;
}

/** Flags of other tables that decide how a run computes. */
type PrecisionValues = {
  readonly 'amp-dtype'?: string;
  readonly tf32?: boolean;
  readonly deterministic?: boolean;
} & Values<typeof lossScaleOptions>;

const precisionFlags: readonly string[] = [
  ...(['amp-dtype', 'tf32', 'deterministic'] satisfies (keyof PrecisionValues)[]),
  ...Object.keys(lossScaleOptions),
];

type RunValues = Values<typeof runOptions> & PrecisionValues;

export function configurationOf(values: RunValues): Configuration {
  return {
    model: values.model ?? 'cifar-resnet20',
    ...(values.weights !== undefined && { weights: values.weights }),
    ...(values['freeze-until'] !== undefined && { freezeUntil: values['freeze-until'] }),
    ...(values['aux-logits'] && { auxLogits: true }),
    data: values.data ?? 'cifar10-mini',
    ...pictureChoice(values),
    ...normalisationOf(values),
    seed: values.seed ?? 0,
    ampDtype: (values['amp-dtype'] ?? 'float32') as AmpDtype,
    ...(values['initial-loss-scale'] !== undefined && { initialLossScale: values['initial-loss-scale'] }),
    ...(values['loss-scale-window'] !== undefined && { lossScaleWindow: values['loss-scale-window'] }),
    tf32: values.tf32 ?? false,
    deterministic: values.deterministic ?? false,
    recipe: recipeOf(values),
  };
}

function normalisationOf({ mean, std, weights }: RunValues): Pick<Configuration, 'mean' | 'std'> {
  if (weights === undefined && (mean === undefined) !== (std === undefined)) {
    throw new UsageError(`--${mean ? 'mean' : 'std'} needs --${mean ? 'std' : 'mean'}, which no --weights bring along`);
  }
  return { ...(mean && { mean }), ...(std && { std }) };
}

function recipeOf(values: RunValues): Recipe {
  const base: Recipe = recipes[(values.recipe ?? 'short') as keyof typeof recipes];
  const given = {
    epochs: values.epochs,
    batchSize: values['batch-size'],
    lr: values.lr,
    sched: values.sched as Recipe['sched'] | undefined,
    decayMilestones: values['decay-milestones'],
    decayRate: values['decay-rate'],
    decayEpochs: values['decay-epochs'],
    staircase: values.staircase,
    power: values.power,
    minLr: values['min-lr'],
    warmupEpochs: values['warmup-epochs'],
    warmupLr: values['warmup-lr'],
    opt: values.opt as Recipe['opt'] | undefined,
    momentum: values.momentum,
    ...(values.momentum === 0 && { nesterov: false }),
    optBetas: twoBetas(values['opt-betas']),
    optEps: values['opt-eps'],
    trustCoefficient: values['trust-coefficient'],
    weightDecay: values['weight-decay'],
    smoothing: values.smoothing,
    drop: values.drop,
    clipGrad: values['clip-grad'],
    modelEma: values['model-ema'],
    modelEmaDecay: values['model-ema-decay'],
    ...(values['no-aug'] && { padding: 0, flip: false }),
  };
  const recipe: Recipe = { ...base, ...definedOnly(given) };
  if (given.decayMilestones !== undefined || given.epochs === undefined) return recipe;
  const shares = base.sched === 'step' ? base.decayMilestones.map((epoch) => epoch / base.epochs) : [0.5, 0.75];
  const milestones = shares.map((share) => Math.max(1, Math.round(share * recipe.epochs)));
  return { ...recipe, decayMilestones: [...new Set(milestones)] };
}

function twoBetas(betas: readonly number[] | undefined): readonly number[] | undefined {
  if (betas === undefined || betas.length === 2) return betas;
  throw new UsageError(`--opt-betas '${betas.join(',')}': give two numbers, such as 0.9,0.999`);
}

function definedOnly<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as ReturnType<
    typeof definedOnly<T>
  >;
}

/** The checkpoint decides; a flag that contradicts it is refused. Data may have moved, and epochs may be added. */
export function resumedConfiguration(file: string, info: CheckpointInfo, values: RunValues): Configuration {
  const made = { ...earlier, ...info.configuration } as unknown as Configuration;
  if (typeof made.recipe !== 'object' || typeof made.data !== 'string') {
    throw new TrainingError(
      'ERR_CHECKPOINT',
      `checkpoint ${file} was not made by the command line; continue it with Trainer.create({ resume }) in the program that made it`,
    );
  }
  const kept = { ...made, recipe: completed(made.recipe) };
  const asked = configurationOf(values);
  const conflicts = flagsOf(asked, values).filter(({ path }) => !same(at(kept, path), at(asked, path)));
  if (conflicts.length > 0) {
    const lines = conflicts.map(
      ({ flag, path }) => `  ${flag} ${at(asked, path)}: the checkpoint has ${at(kept, path)}`,
    );
    throw new UsageError(
      `these flags contradict ${file}:\n${lines.join('\n')}\nleave them out to continue the run, or start a new one without --resume`,
    );
  }
  return {
    ...kept,
    data: values.data ?? kept.data,
    recipe: { ...kept.recipe, epochs: values.epochs ?? kept.recipe.epochs },
  };
}

/** What the configurations of earlier versions lack. */
const earlier = { tf32: false, deterministic: false };

const free = new Set(['data', 'epochs', 'recipe']);

/** Every given flag that decides what is learned, with the place of its value in a Configuration. */
function flagsOf(configuration: Configuration, values: RunValues): { flag: string; path: string[] }[] {
  return Object.keys(values)
    .filter((name) => (name in runOptions || precisionFlags.includes(name)) && !free.has(name))
    .map((name) => {
      const key = name === 'no-aug' ? 'padding' : name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
      return { flag: `--${name}`, path: key in configuration ? [key] : ['recipe', key] };
    });
}

function at(configuration: Configuration, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], configuration);
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** `runs/20261122-101530-cifar-resnet20`, or the folder of the checkpoint that is resumed. */
export function outputFolder(output: string | undefined, resume: string | undefined, model: string): string {
  if (output !== undefined) return output;
  if (resume !== undefined) return dirname(resume);
  const time = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
  return join('runs', `${time}-${model}`);
}
