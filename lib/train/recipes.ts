import { type Optimizer, type Schedule, schedules, sgd } from '../optim/index.ts';

export const scheduleNames = ['step', 'cosine', 'onecycle'] as const;
export type ScheduleName = (typeof scheduleNames)[number];

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
  /** For `cosine`: the rate at the end. */
  readonly minLr: number;
  /** For `step` and `cosine`: epochs over which the rate rises from `warmupLr`. */
  readonly warmupEpochs: number;
  readonly warmupLr: number;
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weightDecay: number;
  readonly smoothing: number;
  /** Largest norm of all gradients together; 0 does not clip. */
  readonly clipGrad: number;
  readonly padding: number;
  readonly flip: boolean;
}

/** The recipe for CIFAR of He et al. 2015, section 4.2: 0.1, divided by 10 after epochs 80 and 120. */
export const paper: Recipe = {
  epochs: 160,
  batchSize: 128,
  lr: 0.1,
  sched: 'step',
  decayMilestones: [80, 120],
  decayRate: 0.1,
  minLr: 0,
  warmupEpochs: 0,
  warmupLr: 1e-5,
  momentum: 0.9,
  nesterov: true,
  weightDecay: 1e-4,
  smoothing: 0,
  clipGrad: 0,
  padding: 4,
  flip: true,
};

/** One cycle (Smith and Topin 2017, "Super-convergence") for runs of minutes. */
export const short: Recipe = { ...paper, epochs: 15, batchSize: 64, lr: 0.2, sched: 'onecycle', weightDecay: 5e-4 };

export const recipes = { short, paper } as const;
export type RecipeName = keyof typeof recipes;

export function scheduleOf(recipe: Recipe, stepsPerEpoch: number): Schedule {
  if (recipe.sched === 'onecycle') {
    return schedules.oneCycle({ peak: recipe.lr, totalSteps: recipe.epochs * stepsPerEpoch });
  }
  const main = recipe.sched === 'cosine' ? cosine(recipe, stepsPerEpoch) : steps(recipe, stepsPerEpoch);
  const { warmupEpochs, warmupLr } = recipe;
  return schedules.warmup(main, { steps: warmupEpochs * stepsPerEpoch, from: warmupLr });
}

function cosine({ lr, minLr, epochs }: Recipe, stepsPerEpoch: number): Schedule {
  return schedules.cosine({ base: lr, minimum: minLr, totalSteps: epochs * stepsPerEpoch });
}

function steps({ lr, decayMilestones, decayRate }: Recipe, stepsPerEpoch: number): Schedule {
  const milestones = decayMilestones.map((epoch) => epoch * stepsPerEpoch);
  return schedules.step({ base: lr, milestones, gamma: decayRate });
}

export function optimizerOf({ momentum, nesterov, weightDecay, clipGrad }: Recipe): Optimizer {
  return sgd({ momentum, nesterov, weightDecay, ...(clipGrad > 0 && { maxNorm: clipGrad }) });
}
