// Trains small variants of networks on CIFAR-10 for a few epochs each and records their learning, epoch by epoch. The
// claims stand in the table below; widths are cut so that all of it is a matter of minutes on an idle machine.
// Usage: npx tsx bench/variants.ts --data FOLDER [--experiment NAME ...] [--train 8000] [--test 2000] [--epochs 4]
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { type DataSet, type ImageSet, openDataSet } from '../lib/data/index.ts';
import { cifarPlain, cifarResNet, highway19, inceptionV1, inceptionV2 } from '../lib/models/index.ts';
import type { Module } from '../lib/nn/index.ts';
import { schedules, sgd } from '../lib/optim/index.ts';
import { type EpochMetrics, recipes, Trainer } from '../lib/train/index.ts';
import { writeRecord } from './record.ts';

interface Variant {
  readonly model: () => Module;
  readonly lr: number;
  readonly weightDecay: number;
}

type Row = Pick<EpochMetrics, 'epoch' | 'step' | 'trainLoss' | 'testLoss' | 'testAccuracy' | 'seconds'>;

interface Experiment {
  readonly claim: string;
  readonly batchSize: number;
  /** How many times the pictures of 32x32 are enlarged. */
  readonly enlarged?: number;
  readonly variants: Readonly<Record<string, Variant>>;
  readonly holds: (epochs: Readonly<Record<string, readonly Row[]>>) => boolean;
}

const halved = { depth: 56, widthMultiplier: 0.5 };
const quarter = { numClasses: 10, widthMultiplier: 0.25, imageSize: 64 };
const [baseline, x5] = [recipes['bn-baseline'], recipes['bn-x5']];

const experiments: Readonly<Record<string, Experiment>> = {
  degradation: {
    claim: '56 layers learn better with shortcuts than without (He et al. 2015, figure 6)',
    batchSize: 64,
    variants: {
      'plain-56': { model: () => cifarPlain(halved), lr: 0.1, weightDecay: 1e-4 },
      'resnet-56': { model: () => cifarResNet(halved), lr: 0.1, weightDecay: 1e-4 },
    },
    holds: (all) => last(all, 'resnet-56').trainLoss < last(all, 'plain-56').trainLoss,
  },
  highway: {
    claim: 'a highway network of 19 layers learns (Srivastava et al. 2015)',
    batchSize: 64,
    variants: {
      'highway-19': { model: () => highway19({ widthMultiplier: 0.25 }), lr: 0.05, weightDecay: 1e-4 },
    },
    holds: (all) => last(all, 'highway-19').testAccuracy > 2 * chance,
  },
  'bn-x5': {
    claim:
      'five times the rate, without dropout, learns faster by step in Inception-v2 (Ioffe and Szegedy 2015, figure 2)',
    ...{ batchSize: baseline.batchSize, enlarged: 2 },
    variants: {
      baseline: { model: () => inceptionV2(quarter), lr: baseline.lr, weightDecay: baseline.weightDecay },
      x5: { model: () => inceptionV2({ ...quarter, dropout: 0 }), lr: x5.lr, weightDecay: x5.weightDecay },
    },
    holds: ({ x5: fast = [], baseline: slow = [] }) =>
      fast.every(({ trainLoss }, i) => trainLoss < (slow[i]?.trainLoss ?? 0)) &&
      (fast.at(-1)?.testLoss ?? 0) < (slow.at(-1)?.testLoss ?? 0),
  },
  'inception-v1': {
    claim: 'GoogLeNet with local response normalisation and without batch normalisation learns',
    ...{ batchSize: 32, enlarged: 2 },
    variants: {
      'v1-lrn': { model: () => inceptionV1(quarter), lr: 0.01, weightDecay: 2e-4 },
    },
    holds: (all) => last(all, 'v1-lrn').testAccuracy > 2 * chance,
  },
};
const chance = 0.1;

const { values } = parseArgs({
  options: {
    experiment: { type: 'string', multiple: true, default: Object.keys(experiments) },
    data: { type: 'string', default: 'cifar10-mini' },
    train: { type: 'string', default: '8000' },
    test: { type: 'string', default: '2000' },
    epochs: { type: 'string', default: '4' },
  },
});
const { name, classes, train, test } = await openDataSet(values.data);
const small = { train: thinned(train, Number(values.train)), test: thinned(test, Number(values.test)) };
for (const experiment of values.experiment) process.exitCode = (await run(experiment)) ? (process.exitCode ?? 0) : 1;

/** Variants run one after the other: they would take each other's cores. */
async function run(title: string): Promise<boolean> {
  const experiment = experiments[title];
  if (experiment === undefined) {
    throw new Error(`variants: there is no experiment '${title}'; all: ${Object.keys(experiments).join(', ')}`);
  }
  const { claim, batchSize, enlarged = 1, variants } = experiment;
  process.stdout.write(`${title}: ${claim}\n`);
  const sets = { train: enlargedBy(small.train, enlarged), test: enlargedBy(small.test, enlarged) };
  const data = { name, classes, ...sets };
  const epochs: Record<string, Row[]> = {};
  for (const [label, variant] of Object.entries(variants)) epochs[label] = await learn(label, variant, data, batchSize);
  const holds = experiment.holds(epochs);
  const pictures = { train: sets.train.count, test: sets.test.count, side: sets.train.width };
  const settings = Object.entries(variants).map(([label, { lr, weightDecay }]) => ({ label, lr, weightDecay }));
  const figures = { claim, holds, data: basename(name), pictures, batchSize, settings, epochs };
  process.stdout.write(
    `  ${holds ? 'holds' : 'DOES NOT HOLD'}; record: ${await writeRecord(`variants-${title}`, figures)}\n`,
  );
  return holds;
}

async function learn(label: string, variant: Variant, data: DataSet, batchSize: number): Promise<Row[]> {
  const { model, lr, weightDecay } = variant;
  let told = false;
  const trainer = await Trainer.create({
    ...{ model: model(), data, batchSize, epochs: Number(values.epochs), seed: 0, progress: false },
    ...{ optimizer: sgd({ momentum: 0.9, weightDecay }), schedule: schedules.constant(lr), stepsPerCall: 5 },
    augment: { padding: 4, flip: true },
    callbacks: [
      {
        onStepsEnd: ({ remainingSeconds }) => {
          if (!told) process.stdout.write(`  ${label}: about ${Math.ceil(remainingSeconds / 60)} minutes\n`);
          told = true;
        },
        onEpochEnd: ({ epoch, trainLoss, testAccuracy }) => {
          const accuracy = `${(100 * testAccuracy).toFixed(1)} % of the test pictures`;
          process.stdout.write(`  ${label}: epoch ${epoch}, loss ${trainLoss.toFixed(4)}, ${accuracy}\n`);
        },
      },
    ],
  });
  try {
    const { history } = await trainer.fit();
    return history.map(({ epoch, step, trainLoss, testLoss, testAccuracy, seconds }) => {
      return { epoch, step, trainLoss, testLoss, testAccuracy, seconds };
    });
  } finally {
    await trainer.close();
  }
}

function last(epochs: Readonly<Record<string, readonly Row[]>>, label: string): Row {
  return epochs[label]?.at(-1) as Row;
}

/** So many pictures, evenly from all over the set, which has its classes one after the other. */
function thinned(set: ImageSet, most: number): ImageSet {
  const count = Math.min(most, set.count);
  const bytes = set.height * set.width * set.channels;
  const images = new Uint8Array(count * bytes);
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const row = Math.floor((i * set.count) / count);
    images.set(set.images.subarray(row * bytes, (row + 1) * bytes), i * bytes);
    labels[i] = set.labels[row] as number;
  }
  const { name: title, height, width, channels } = set;
  return { name: title, height, width, channels, classes: set.classes, images, labels, count };
}

/** Every pixel `by` times as high and as wide. */
function enlargedBy(set: ImageSet, by: number): ImageSet {
  if (by === 1) return set;
  const { count, channels } = set;
  const [height, width] = [by * set.height, by * set.width];
  const images = new Uint8Array(count * height * width * channels);
  for (let i = 0, to = 0; i < count; i++) {
    for (let y = 0; y < height; y++) {
      const row = (i * set.height + Math.floor(y / by)) * set.width;
      for (let x = 0; x < width; x++, to += channels) {
        const from = (row + Math.floor(x / by)) * channels;
        for (let c = 0; c < channels; c++) images[to + c] = set.images[from + c] as number;
      }
    }
  }
  return { ...set, images, height, width };
}
