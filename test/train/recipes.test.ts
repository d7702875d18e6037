import { expect, it } from 'vitest';
import { configurationOf } from '../../lib/cli/configuration.ts';
import { recipes, scheduleOf } from '../../lib/train/recipes.ts';

const stepsPerEpoch = 10;

function ratesByEpoch(recipe: Parameters<typeof scheduleOf>[0], ...epochs: number[]): number[] {
  const schedule = scheduleOf(recipe, stepsPerEpoch);
  return epochs.map((epoch) => Number(schedule(epoch * stepsPerEpoch).toPrecision(6)));
}

it('has the recipe of the paper', () => {
  expect(recipes.paper).toMatchObject({
    ...{ batchSize: 128, momentum: 0.9, nesterov: true, weightDecay: 1e-4, padding: 4, flip: true },
  });
  expect(ratesByEpoch(recipes.paper, 0, 79, 80, 119, 120, 159)).toEqual([0.1, 0.1, 0.01, 0.01, 0.001, 0.001]);
});

it('has the short recipe of npm start', () => {
  expect(configurationOf({})).toMatchObject({
    ...{ model: 'cifar-resnet20', data: 'cifar10-mini', seed: 0, ampDtype: 'float32' },
    recipe: { epochs: 15, sched: 'onecycle', lr: 0.2, batchSize: 64, weightDecay: 5e-4 },
  });
  const rates = Array.from({ length: 150 }, (_, step) => scheduleOf(recipes.short, stepsPerEpoch)(step));
  expect(Math.max(...rates)).toBeCloseTo(0.2, 10);
  expect(rates[0]).toBeCloseTo(0.2 / 25, 10);
  expect(rates[149]).toBeCloseTo(0.2 / 25 / 1e4, 10);
});

it('warms up, and anneals along a cosine', () => {
  const { recipe } = configurationOf({
    sched: 'cosine',
    epochs: 20,
    lr: 0.4,
    'min-lr': 0.04,
    'warmup-epochs': 4,
    'warmup-lr': 0,
  });
  expect(ratesByEpoch(recipe, 0, 10, 20)).toEqual([0, 0.22, 0.04]);
  const [two, four] = ratesByEpoch(recipe, 2, 4) as [number, number];
  expect(two).toBeCloseTo(four / 2, 5);
});

it('moves the milestones with the number of epochs, unless they are given', () => {
  expect(configurationOf({ recipe: 'paper' }).recipe.decayMilestones).toEqual([80, 120]);
  expect(configurationOf({ recipe: 'paper', epochs: 40 }).recipe.decayMilestones).toEqual([20, 30]);
  expect(configurationOf({ sched: 'step', epochs: 1 }).recipe.decayMilestones).toEqual([1]);
  expect(configurationOf({ epochs: 9, 'decay-milestones': [2, 5] }).recipe.decayMilestones).toEqual([2, 5]);
});

it('takes flags over the recipe', () => {
  const { recipe } = configurationOf({ recipe: 'paper', lr: 0.3, momentum: 0, 'no-aug': true, smoothing: 0.1 });
  expect(recipe).toMatchObject({
    lr: 0.3,
    momentum: 0,
    nesterov: false,
    padding: 0,
    flip: false,
    smoothing: 0.1,
    epochs: 160,
  });
});
