import { expect, it } from 'vitest';
import { configurationOf, resumedConfiguration } from '../../lib/cli/configuration.ts';
import { recipeNotes } from '../../lib/cli/recipe-notes.ts';
import type { CheckpointInfo } from '../../lib/train/index.ts';
import { paper, type Recipe, recipes, scheduleOf } from '../../lib/train/recipes.ts';

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

it('has the recipes of the batch-normalisation paper', () => {
  const rates = (['bn-baseline', 'bn-x5', 'bn-x30', 'bn-x5-sigmoid'] as const).map((name) => recipes[name].lr);
  expect(rates).toEqual([0.0015, 0.0075, 0.045, 0.0075]);
  expect(recipes['bn-x5'].weightDecay).toBeCloseTo(recipes['bn-baseline'].weightDecay / 5, 12);
  const [first, kept, fallen] = ratesByEpoch(recipes['bn-baseline'], 0, 7, 8);
  expect([first, kept]).toEqual([0.0015, 0.0015]);
  expect(fallen).toBeCloseTo(0.0015 * 0.96, 9);
  const faster = ratesByEpoch(recipes['bn-x5'], 0, 1, 8); // 8 epochs: six falls
  expect(faster[1]).toBe(0.0075);
  expect(faster[2]).toBeCloseTo(0.0075 * 0.96 ** 6, 7);
});

it('drops, distorts and cuts as the recipes of the paper', () => {
  const crops = { imgSize: 224, scale: [0.08, 1], cropPct: 0.875 };
  for (const name of ['bn-x5', 'bn-x30', 'bn-x5-sigmoid'] as const) {
    const { drop, pictures } = configurationOf({ recipe: name }).recipe;
    expect([drop, pictures?.colorJitter], name).toEqual([0, 0.2]);
    expect(pictures).toMatchObject(crops);
  }
  expect(recipes['bn-baseline'].pictures).toMatchObject({ ...crops, colorJitter: 0.4 });
  expect('drop' in recipes['bn-baseline']).toBe(false); // the network's own
  expect(configurationOf({ recipe: 'bn-x5', drop: 0.3 }).recipe.drop).toBe(0.3);
  expect(recipes['imagenet-resnet'].pictures).toEqual({ ...crops, ratio: [3 / 4, 4 / 3] });
  expect(recipes['imagenet-resnet-cosine'].pictures).toEqual(recipes['imagenet-resnet'].pictures);
});

it('has the 90 epochs of ImageNet, by steps and along a cosine', () => {
  expect(ratesByEpoch(recipes['imagenet-resnet'], 29, 30, 60)).toEqual([0.1, 0.01, 0.001]);
  expect(configurationOf({ recipe: 'imagenet-resnet', epochs: 30 }).recipe.decayMilestones).toEqual([10, 20]);
  const [first, top, last] = ratesByEpoch(recipes['imagenet-resnet-cosine'], 0, 5, 89) as [number, number, number];
  expect(first).toBe(1e-5);
  expect(top).toBeGreaterThan(0.099);
  expect(last).toBeLessThan(1e-4);
});

it('takes optimizer, averages and schedule from flags', () => {
  const { recipe } = configurationOf({
    ...{ opt: 'adamw', 'opt-betas': [0.8, 0.95], 'opt-eps': 1e-6, 'model-ema': true, 'model-ema-decay': 0.99 },
    ...{ sched: 'polynomial', power: 2, epochs: 10, lr: 0.4 },
  });
  expect(recipe).toMatchObject({ opt: 'adamw', optBetas: [0.8, 0.95], optEps: 1e-6, modelEma: true });
  expect(ratesByEpoch(recipe, 0, 5, 10)).toEqual([0.4, 0.1, 0]);
  expect(() => configurationOf({ 'opt-betas': [0.9] })).toThrow("--opt-betas '0.9': give two numbers");
});

it('shows in the help what every recipe sets', () => {
  const text = recipeNotes().join('\n');
  for (const name of Object.keys(recipes)) expect(text).toContain(`  ${name}: `);
  expect(text).toContain('--epochs 160 --batch-size 128 --lr 0.1 --sched step --decay-milestones 80,120');
  expect(text).toContain('--lr 0.0075 --sched exponential --decay-rate 0.96 --decay-epochs 1.333 --staircase');
  expect(text).toContain(
    '--drop 0 --img-size 224 --scale 0.08,1 --ratio 0.75,1.3333 --crop-pct 0.875 --color-jitter 0.2',
  );
});

it('completes the recipe of an earlier version when its run is resumed', () => {
  const { opt, optBetas, optEps, trustCoefficient, modelEma, modelEmaDecay, ...older } = recipes.short;
  const configuration = { ...configurationOf({}), recipe: older as Recipe };
  const info = { configuration } as unknown as CheckpointInfo;
  expect(resumedConfiguration('last.safetensors', info, {}).recipe).toEqual(recipes.short);
  expect(recipes.short).toMatchObject({ opt, optBetas, optEps, trustCoefficient, modelEma, modelEmaDecay });
  expect(opt).toBe(paper.opt);
  expect(() => resumedConfiguration('last.safetensors', info, { opt: 'adam' })).toThrow(
    '--opt adam: the checkpoint has sgd',
  );
});

it('keeps how a run computes: with tf32, and bit for bit', () => {
  const made = configurationOf({ tf32: true });
  expect(made).toMatchObject({ tf32: true, deterministic: false });
  const info = { configuration: { ...made } } as unknown as CheckpointInfo;
  expect(resumedConfiguration('last.safetensors', info, {})).toMatchObject({ tf32: true, deterministic: false });
  expect(resumedConfiguration('last.safetensors', info, { tf32: true }).tf32).toBe(true);
  expect(() => resumedConfiguration('last.safetensors', info, { deterministic: true })).toThrow(
    '--deterministic true: the checkpoint has false',
  );
  const { tf32, deterministic, ...older } = made;
  const before = { configuration: older } as unknown as CheckpointInfo;
  expect(resumedConfiguration('last.safetensors', before, {})).toMatchObject({ tf32: false, deterministic: false });
});
