import type { Interpolation } from '../data/index.ts';
import { adam, adamw, lars, type Optimizer, type Schedule, schedules, sgd } from '../optim/index.ts';

export const scheduleNames = ['step', 'cosine', 'onecycle', 'exponential', 'polynomial'] as const;
export type ScheduleName = (typeof scheduleNames)[number];

export const optimizerNames = ['sgd', 'adam', 'adamw', 'lars'] as const;
export type OptimizerName = (typeof optimizerNames)[number];

/** What becomes of pictures that are cut anew whenever they are seen: those of a set that streams. */
export interface PictureChoice {
  /** Pictures become squares of this side. */
  readonly imgSize?: number;
  /** Of random crops: bounds of their share of the area, and of width / height. */
  readonly scale?: readonly [number, number];
  readonly ratio?: readonly [number, number];
  readonly colorJitter?: number;
  /** In evaluation: side of the central crop as a share of the shorter side. */
  readonly cropPct?: number;
  readonly interpolation?: Interpolation;
}

/** Everything about a run that changes what is learned, but the data, the model and the seed. */
export interface Recipe {
  readonly epochs: number;
  readonly batchSize: number;
  /** Base rate; the peak of the one-cycle schedule. */
  readonly lr: number;
  readonly sched: ScheduleName;
  /** For `step`: epochs after which the rate is multiplied by `decayRate`. */
  readonly decayMilestones: readonly number[];
  readonly decayRate: number;
  /** For `exponential`: epochs in which the rate is multiplied by `decayRate`; at once at their end with `staircase`. */
  readonly decayEpochs: number;
  readonly staircase: boolean;
  /** For `polynomial`. */
  readonly power: number;
  /** For `cosine` and `polynomial`: the rate at the end. */
  readonly minLr: number;
  /** For all but `onecycle`: epochs over which the rate rises from `warmupLr`. */
  readonly warmupEpochs: number;
  readonly warmupLr: number;
  readonly opt: OptimizerName;
  /** For `sgd` and `lars`. */
  readonly momentum: number;
  /** For `sgd`. */
  readonly nesterov: boolean;
  /** For `adam` and `adamw`. */
  readonly optBetas: readonly number[];
  readonly optEps: number;
  /** For `lars`. */
  readonly trustCoefficient: number;
  readonly weightDecay: number;
  readonly smoothing: number;
  /** Largest norm of all gradients together; 0 does not clip. */
  readonly clipGrad: number;
  /** Whether moving averages of the weights are kept, evaluated and saved. */
  readonly modelEma: boolean;
  readonly modelEmaDecay: number;
  readonly padding: number;
  readonly flip: boolean;
  /** Share that dropout zeroes in front of the last layer. Undefined: the network's own. */
  readonly drop?: number;
  readonly pictures?: PictureChoice;
}

/** The recipe for CIFAR of He et al. 2015, section 4.2: 0.1, divided by 10 after epochs 80 and 120. */
export const paper: Recipe = {
  epochs: 160,
  batchSize: 128,
  lr: 0.1,
  sched: 'step',
  decayMilestones: [80, 120],
  decayRate: 0.1,
  decayEpochs: 30,
  staircase: false,
  power: 1,
  minLr: 0,
  warmupEpochs: 0,
  warmupLr: 1e-5,
  opt: 'sgd',
  momentum: 0.9,
  nesterov: true,
  optBetas: [0.9, 0.999],
  optEps: 1e-8,
  trustCoefficient: 0.001,
  weightDecay: 1e-4,
  smoothing: 0,
  clipGrad: 0,
  modelEma: false,
  modelEmaDecay: 0.9998,
  padding: 4,
  flip: true,
};

/** One cycle (Smith and Topin 2017, "Super-Convergence") for runs of minutes; the figures are our own. */
export const short: Recipe = { ...paper, epochs: 15, batchSize: 64, lr: 0.2, sched: 'onecycle', weightDecay: 5e-4 };

/** Crops of Szegedy et al. 2014, section 6; 224 of 256 pixels in evaluation as torchvision and timm have it. */
const imageNetPictures = { imgSize: 224, scale: [0.08, 1], ratio: [3 / 4, 4 / 3], cropPct: 0.875 } as const;

const imageNet: Recipe = {
  ...paper,
  ...{ epochs: 90, batchSize: 256, decayMilestones: [30, 60], nesterov: false, padding: 0, pictures: imageNetPictures },
};

// Ioffe and Szegedy 2015: rates of section 4.2.2, batches of section 4.2, epochs from the steps of figure 3. L2 penalty
// of tf-slim's inception_arg_scope (research/slim/nets/inception_utils.py), jitter of timm's train.py (--color-jitter).
const bnBaseline: Recipe = {
  ...imageNet,
  ...{ epochs: 332, batchSize: 32, lr: 0.0015, weightDecay: 4e-5 },
  ...{ sched: 'exponential', decayRate: 0.96, decayEpochs: 8, staircase: true },
  pictures: { ...imageNetPictures, colorJitter: 0.4 },
};

/** Section 4.2.1. */
const bnX5: Recipe = {
  ...bnBaseline,
  ...{ epochs: 52, lr: 0.0075, weightDecay: 4e-5 / 5, decayEpochs: 8 / 6, drop: 0 },
  pictures: { ...imageNetPictures, colorJitter: 0.2 },
};

export const recipes = {
  short,
  paper,
  cifar: paper,
  'imagenet-resnet': imageNet,
  'imagenet-resnet-cosine': { ...imageNet, sched: 'cosine', warmupEpochs: 5 },
  'bn-baseline': bnBaseline,
  'bn-x5': bnX5,
  'bn-x30': { ...bnX5, epochs: 67, lr: 0.045 },
  'bn-x5-sigmoid': bnX5,
} as const satisfies Record<string, Recipe>;
export type RecipeName = keyof typeof recipes;

/** Where each comes from, then what of it the source does not say or is not set. */
export const recipeSources: Readonly<Record<RecipeName, readonly string[]>> = {
  short: ['one cycle (Smith and Topin 2017), for runs of minutes', 'its figures are our own'],
  paper: ['the older name of cifar'],
  cifar: [
    'He et al. 2015, section 4.2: 64,000 steps of 128, the rate divided by 10 after 32,000 and 48,000',
    'those are 164, 82 and 123 epochs of 50,000 pictures; here 160, 80 and 120. Nesterov momentum is our own',
  ],
  'imagenet-resnet': [
    'He et al. 2015, section 3.4',
    "90 epochs, a tenth every 30 (the paper: at plateaus): defaults of torchvision's references/classification/train.py;",
    'crops as Szegedy et al. 2014, section 6 (the paper: the shorter side at 256 to 480 pixels, colours shifted)',
  ],
  'imagenet-resnet-cosine': [
    'the same along half a cosine (Loshchilov and Hutter 2017, without their restarts)',
    "warm-up of 5 epochs as Goyal et al. 2017, section 2.2, but from timm's 1e-5, not from the rate of one worker",
  ],
  'bn-baseline': [
    'Ioffe and Szegedy 2015, section 4.2.2; epochs: the 13.3 million steps of figure 3',
    'the paper gives no figures of momentum, decay, crops, L2 penalty and distortion: 0.9, 4 % less every 8 epochs',
    "and the crops are of Szegedy et al. 2014, section 6; 4e-5 is tf-slim's (research/slim/nets/inception_utils.py,",
    "there of weights alone, here of all parameters), the jitter the default of timm's train.py",
  ],
  'bn-x5': [
    'the same with the changes of section 4.2.1: rate x 5, no dropout, L2 / 5, decay x 6; 2.1 million steps',
    'less distortion: half the jitter, which is our own figure; no LRN: inception-v2 has none; fuller shuffling:',
    'nothing to set, each epoch of every run visits the whole set in a new order',
  ],
  'bn-x30': ['as bn-x5, rate x 30 (section 4.2.2); 2.7 million steps'],
  'bn-x5-sigmoid': [
    'as bn-x5, for a model of sigmoid units such as inception-v2-sigmoid',
    'epochs as bn-x5: figure 3 gives no steps for it',
  ],
};

/** A recipe of an earlier version, whose newer settings are those that it was trained with. */
export function completed(recipe: Partial<Recipe>): Recipe {
  return { ...paper, ...recipe };
}

export function scheduleOf(recipe: Recipe, stepsPerEpoch: number): Schedule {
  const totalSteps = recipe.epochs * stepsPerEpoch;
  if (recipe.sched === 'onecycle') return schedules.oneCycle({ peak: recipe.lr, totalSteps });
  const { warmupEpochs, warmupLr } = recipe;
  const main = mainSchedule(recipe, stepsPerEpoch, totalSteps);
  return schedules.warmup(main, { steps: warmupEpochs * stepsPerEpoch, from: warmupLr });
}

function mainSchedule(recipe: Recipe, stepsPerEpoch: number, totalSteps: number): Schedule {
  const { lr: base, minLr: minimum, decayRate, decayEpochs, staircase, power } = recipe;
  switch (recipe.sched) {
    case 'cosine':
      return schedules.cosine({ base, minimum, totalSteps });
    case 'polynomial':
      return schedules.polynomial({ base, minimum, totalSteps, power });
    case 'exponential':
      return schedules.exponential({ base, rate: decayRate, decaySteps: decayEpochs * stepsPerEpoch, staircase });
    default: {
      const milestones = recipe.decayMilestones.map((epoch) => epoch * stepsPerEpoch);
      return schedules.step({ base, milestones, gamma: decayRate });
    }
  }
}

export function optimizerOf(recipe: Recipe): Optimizer {
  const { momentum, nesterov, optBetas, optEps: epsilon, trustCoefficient, weightDecay, clipGrad } = recipe;
  const shared = { weightDecay, ...(clipGrad > 0 && { maxNorm: clipGrad }) };
  const betas = [optBetas[0] as number, optBetas[1] as number] as const;
  switch (recipe.opt) {
    case 'adam':
      return adam({ ...shared, betas, epsilon });
    case 'adamw':
      return adamw({ ...shared, betas, epsilon });
    case 'lars':
      return lars({ ...shared, momentum, trustCoefficient });
    default:
      return sgd({ ...shared, momentum, nesterov });
  }
}
