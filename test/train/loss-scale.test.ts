// Dynamic loss scaling against torch.amp.GradScaler, and what a float16 run does on devices that have float16: the
// reference, and CUDA or its simulation where there is one.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { Graph, type Value } from '../../lib/graph/index.ts';
import { linear, softmaxCrossEntropy } from '../../lib/ops/index.ts';
import { adam, averageWeights, type Optimizer, sgd } from '../../lib/optim/index.ts';
import { compile, Device, variablesOf } from '../../lib/program.ts';
import { type Progress, readCheckpoint, Trainer, type TrainerOptions, trainingGraph } from '../../lib/train/index.ts';
import { LossScaler } from '../../lib/train/loss-scale.ts';
import { uniform } from '../goldens/weights.ts';
import { presence } from '../support/devices.ts';
import { temporaryFolder, weightsHash } from './processes.ts';
import { tinyData, tinyModel, tinyRun } from './tiny.ts';

interface Row {
  readonly scale: number;
  readonly good_steps: number;
  readonly weight: readonly number[];
  readonly bias: readonly number[];
  readonly average: readonly number[];
}
interface Golden extends Readonly<Record<'sgd' | 'clipped' | 'adam', readonly Row[]>> {
  readonly rate: number;
  readonly spoilt: Readonly<Record<string, string>>;
  readonly scaler: Readonly<Record<'init_scale' | 'growth_factor' | 'backoff_factor' | 'growth_interval', number>>;
}
const golden: Golden = JSON.parse(readFileSync(new URL('../goldens/loss-scale.json', import.meta.url), 'utf8')).content;

const cuda = await presence('cuda');

describe.each(['reference', 'cuda:0'])('on %s', (name) => {
  beforeEach(({ skip }) => skip(name === 'cuda:0' && !cuda.available, cuda.reason));

  it.each<['sgd' | 'clipped' | 'adam', Optimizer]>([
    ['sgd', sgd({ momentum: 0.9, nesterov: true, weightDecay: 0.01 })],
    ['clipped', sgd({ momentum: 0.9, maxNorm: 0.25 })],
    ['adam', adam()],
  ])('%s: scale, counter, weights and averages are those of torch', async (kind, optimizer) => {
    const rows = await classifierRun(name, optimizer);
    expect(rows.map(({ scale, good_steps }) => [scale, good_steps])).toEqual(
      golden[kind].map(({ scale, good_steps }) => [scale, good_steps]),
    );
    // Twelve steps in float32, each rounded to 6e-8 of numbers around 1.
    golden[kind].forEach((expected, step) => {
      for (const part of ['weight', 'bias', 'average'] as const) {
        rows[step]?.[part].forEach((value, i) => {
          expect(value, `${part} after step ${step}`).toBeCloseTo(expected[part][i] as number, 5);
        });
      }
    });
  });

  it('a step that is not finite changes nothing but the scale', async () => {
    await using folder = await temporaryFolder();
    const files: string[] = [];
    const keeping = {
      async onStepsEnd({ step }: Progress, control: { save(file: string): Promise<void> }) {
        files.push(join(folder.path, `${step}.safetensors`));
        await control.save(files.at(-1) as string);
      },
    };
    // The loss's gradient is infinite in float16 until the scale is below 65504 times the batch.
    const lossScaling = { initial: 2 ** 24, interval: 2 };
    const options = { optimizer: adam(), emaDecay: 0.9, lossScaling, epochs: 1, callbacks: [keeping], stepsPerCall: 1 };
    await using trainer = await Trainer.create(halfRun(name, options));
    await trainer.save(join(folder.path, '0.safetensors'));
    const { history } = await trainer.fit();
    const states = await Promise.all(
      [join(folder.path, '0.safetensors'), ...files].map(async (file) => (await readCheckpoint(file)).variables),
    );
    const changed = states
      .slice(1)
      .map((state, i) =>
        [...state]
          .filter(([variable, { data }]) => `${data}` !== `${states[i]?.get(variable)?.data}`)
          .map(([key]) => key),
      );
    const bad = changed.map((names) => !names.includes('4.weight'));
    const skipped = bad.filter(Boolean).length;
    expect(skipped).toBeGreaterThanOrEqual(3);
    expect(skipped).toBeLessThan(states.length - 2);
    changed.forEach((names, step) => {
      const rest = names.filter((variable) => variable !== 'loss_scale.good_steps');
      if (bad[step]) expect(rest.sort()).toEqual(['loss_scale.scale', 'step']);
      else expect(names).toEqual(expect.arrayContaining(['1.running_mean', 'ema.4.weight', 'optimizer.step', 'step']));
    });
    expect(history[0]?.skippedSteps).toBe(skipped);
    expect(history[0]?.lossScale).toBe(states.at(-1)?.get('loss_scale.scale')?.data[0]);
  });

  it('goes on from a checkpoint bit by bit, scale and counter included', async () => {
    await using folder = await temporaryFolder();
    const [whole, halved] = [join(folder.path, 'whole'), join(folder.path, 'halved')];
    const options = { lossScaling: { initial: 2 ** 20, interval: 7 } };
    await trained(halfRun(name, { ...options, output: whole, epochs: 2 }));
    await trained(halfRun(name, { ...options, output: halved, epochs: 1 }));
    const last = join(halved, 'last.safetensors');
    expect((await readCheckpoint(last)).variables.get('loss_scale.good_steps')?.data[0]).toBeGreaterThan(0);
    await trained(halfRun(name, { ...options, output: halved, epochs: 2, resume: last }));
    expect(await weightsHash(last)).toBe(await weightsHash(join(whole, 'last.safetensors')));
  });

  it('a loss that is not finite skips its step, as with torch, and no mean holds it', async () => {
    const losses: number[] = [];
    const watching = { onStepsEnd: (progress: Progress) => void losses.push(...progress.losses) };
    const options = { ...overflowing(1), augment: {}, epochs: 2, callbacks: [watching] };
    const { history } = await trained(halfRun(name, options));
    const finite = losses.filter(Number.isFinite);
    expect([losses.length, finite.length]).toEqual([24, 22]);
    expect(history.map(({ skippedSteps }) => skippedSteps)).toEqual([1, 2]);
    const first = losses.slice(0, 12).filter(Number.isFinite);
    expect(history[0]?.trainLoss).toBeCloseTo(first.reduce((sum, loss) => sum + loss, 0) / 11, 12);
    expect(history.at(-1)?.lossScale).toBe(65536 / 4);
  });

  it('learns in float16 as in float32', async () => {
    const [half, full] = [await trained(halfRun(name)), await trained(halfRun(name, { ampDtype: 'float32' }))];
    half.history.forEach(({ trainLoss, testLoss }, epoch) => {
      // Activations are rounded to 2^-11; the losses are means over 96 and 21 pictures, a few layers deep.
      expect(trainLoss).toBeCloseTo(full.history[epoch]?.trainLoss as number, 2);
      expect(testLoss).toBeCloseTo(full.history[epoch]?.testLoss as number, 2);
    });
    expect(half.history.at(-1)).toMatchObject({ lossScale: 65536, skippedSteps: 0 });
    expect(full.history.at(-1)).not.toHaveProperty('lossScale');
  });
});

/** Dark but for the first `bright` pictures, whose pixels are infinite in float16 once they are normalised. */
function overflowing(bright: number): Pick<TrainerOptions, 'data' | 'normalisation'> {
  const data = tinyData();
  const { images, count } = data.train;
  images.forEach((level, i) => {
    images[i] = i < (bright * images.length) / count ? 255 : level & 1;
  });
  return { data, normalisation: { mean: [0, 0, 0], std: [1 / 1e5, 1 / 1e5, 1 / 1e5] } };
}

it('stops after many such steps in a row, also where the scale hardly sinks', async () => {
  const lossScaling = { backoff: 0.999 };
  await using trainer = await Trainer.create(
    halfRun('reference', { ...overflowing(96), augment: {}, epochs: 20, lossScaling, stepsPerCall: 10 }),
  );
  await expect(trainer.fit()).rejects.toMatchObject({
    code: 'ERR_NOT_FINITE',
    message: expect.stringMatching(
      /^gradients were not finite in the last 2\d\d steps, and the loss scale is still \d+/,
    ),
  });
});

it.each([
  ['initial', 0, 'a number above 0 that float32 holds'],
  ['initial', 1e39, 'a number above 0 that float32 holds'],
  ['growth', 0.5, 'a number of at least 1'],
  ['backoff', 1, 'a number between 0 and 1'],
  ['interval', 0, 'an integer from 1 to'],
])('refuses a loss scale with %s %d', async (option, value, cure) => {
  await expect(Trainer.create(halfRun('reference', { lossScaling: { [option]: value } }))).rejects.toMatchObject({
    code: 'ERR_OPTION',
    message: expect.stringContaining(`lossScaling.${option} is ${value}; give ${cure}`),
  });
});

it('stops where no scale makes the gradients finite', async () => {
  const lossScaling = { initial: 2 ** 60, backoff: 2 ** -80 };
  await using trainer = await Trainer.create(halfRun('reference', { lossScaling, stepsPerCall: 1 }));
  await expect(trainer.fit()).rejects.toMatchObject({
    code: 'ERR_NOT_FINITE',
    message: expect.stringMatching(/^gradients are not finite whatever the loss scale after step 1 /),
  });
});

it.skipIf(!Device.backends().some(({ name, available }) => name === 'cpu' && available))(
  'a device without float16 is refused with what to use instead',
  async () => {
    await expect(Trainer.create(halfRun('cpu'))).rejects.toMatchObject({
      code: 'ERR_OPTION',
      message: expect.stringMatching(/'cpu' does not compute in float16; train in float32 or bfloat16.*'cuda:0'/),
    });
  },
);

it('leaves steps of other precisions as they are', () => {
  for (const ampDtype of ['float32', 'bfloat16'] as const) {
    const graph = trainingGraph({
      ...{ model: tinyModel(), set: tinyData().train, batchSize: 8, optimizer: sgd(), ampDtype },
      ...{ normalisation: { mean: [0, 0, 0], std: [1, 1, 1] }, augment: { padding: 0, flip: false } },
      ...{ smoothing: 0, seed: 0, emaDecay: 0.9 },
    });
    const ops = graph.nodes.map(({ op }) => op);
    for (const op of ['unscale', 'update_loss_scale', 'snapshot', 'restore']) expect(ops).not.toContain(op);
  }
});

function halfRun(device: string, options: Partial<TrainerOptions> = {}): TrainerOptions {
  return tinyRun({ device, ampDtype: 'float16', ...options });
}

async function trained(options: TrainerOptions) {
  await using trainer = await Trainer.create(options);
  return await trainer.fit();
}

/** The steps of goldens/loss_scale.py. */
async function classifierRun(name: string, optimizer: Optimizer): Promise<Row[]> {
  const { rate, spoilt, scaler, sgd: steps } = golden;
  const device = await Device.open(name);
  try {
    const graph = classifierGraph(optimizer);
    const state = await device.createState(variablesOf(graph));
    const program = await compile(graph, { device, state });
    const rows: Row[] = [];
    for (let step = 0; step < steps.length; step += 1) {
      const x = Float32Array.from(uniform(`x.${step}`, [4, 3]));
      const planted = spoilt[step];
      if (planted !== undefined) x[0] = Number(planted.replace('inf', 'Infinity'));
      await program.step({ x, labels: Int32Array.of(0, 1, 1, 0), rate: Float32Array.of(rate) });
      const [scale, good, weight, bias, average] = await Promise.all(
        ['loss_scale.scale', 'loss_scale.good_steps', 'weight', 'bias', 'ema.weight'].map((key) => state.read(key)),
      );
      const numbers = (data: typeof weight) => Array.from(data as Float32Array);
      rows.push({
        ...{ scale: scale?.[0] as number, good_steps: good?.[0] as number },
        ...{ weight: numbers(weight), bias: numbers(bias), average: numbers(average) },
      });
    }
    expect(scaler.growth_interval).toBeLessThan(steps.length);
    return rows;
  } finally {
    await device.close();
  }
}

function classifierGraph(optimizer: Optimizer): Graph {
  const {
    init_scale: initial,
    growth_factor: growth,
    backoff_factor: backoff,
    growth_interval: interval,
  } = golden.scaler;
  const graph = new Graph({ training: true });
  const variable = (name: string, shape: number[]): Value =>
    graph.variable(name, { shape, initial: Float32Array.from(uniform(name, shape)) });
  const [weight, bias] = [variable('weight', [2, 3]), variable('bias', [2])];
  const labels = graph.input('labels', { shape: [4], dtype: 'int32' });
  const logits = linear(graph.input('x', { shape: [4, 3] }), weight, { bias });
  const scaler = new LossScaler(graph, { initial, growth, backoff, interval });
  const gradients = scaler.gradients(softmaxCrossEntropy(logits, labels), [weight, bias]);
  optimizer.update(graph, [weight, bias], gradients, graph.input('rate', { shape: [1] }));
  averageWeights(graph, [weight], { decay: 0.75, step: scaler.updates });
  return scaler.finish();
}
