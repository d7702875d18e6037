// Claim: three layers of 100 sigmoid units learn digits of 28x28 in fewer steps with batch normalisation than without,
// and the inputs of a unit of the last layer keep their spread (Ioffe and Szegedy 2015, section 4.1 and figure 1).
// Draws docs/unit-percentiles.svg. The digits are drawn here; --data FOLDER takes MNIST (IDX files) instead.
// Usage: npx tsx bench/sigmoid-digits.ts [--data FOLDER] [--epochs 10]
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type DataSet, type ImageSet, openDataSet } from '../lib/data/index.ts';
import { BatchNorm2d, Conv2d, Flatten, Linear, type Module, Sequential, Sigmoid } from '../lib/nn/index.ts';
import { schedules, sgd } from '../lib/optim/index.ts';
import { percentilesFigure, Trainer, UnitPercentiles } from '../lib/train/index.ts';
import { writeRecord } from './record.ts';

const { values } = parseArgs({ options: { data: { type: 'string' }, epochs: { type: 'string', default: '10' } } });
const epochs = Number(values.epochs);
const recipe = { batchSize: 60, lr: 0.1, units: 100, layers: 3 }; // batches and units of section 4.1

const data = values.data === undefined ? digits(6000, 1000) : await openDataSet(values.data);
const plain = await train(false);
const normalised = await train(true);
const figures = { data: data.name, epochs, recipe, plain: plain.record, normalised: normalised.record };
const panels = [
  { title: 'without batch normalisation', points: plain.points },
  { title: 'with batch normalisation', points: normalised.points },
];
const caption = '15th, 50th and 85th percentile of the input of a sigmoid in the last hidden layer, by steps';
const figure = fileURLToPath(new URL('../docs/unit-percentiles.svg', import.meta.url));
await writeFile(figure, percentilesFigure(panels, caption));
const file = await writeRecord('sigmoid-digits', figures);
process.stdout.write(`${JSON.stringify(figures, null, 2)}\nrecord: ${file}, figure: ${figure}\n`);

async function train(batchNorm: boolean) {
  const { height, width, channels } = data.test;
  const images = data.test.images.subarray(0, recipe.batchSize * height * width * channels);
  const watch = new UnitPercentiles({ endPoint: batchNorm ? '7' : '4', unit: 0, images, every: 25 });
  const trainer = await Trainer.create({
    ...{ model: network(batchNorm), data, epochs, batchSize: recipe.batchSize, seed: 0 },
    ...{ optimizer: sgd(), schedule: schedules.constant(recipe.lr), stepsPerCall: 25, callbacks: [watch] },
  });
  try {
    const { history } = await trainer.fit();
    const record = history.map(({ epoch, step, trainLoss, testAccuracy }) => ({
      epoch,
      step,
      trainLoss,
      testAccuracy,
    }));
    return { points: watch.points, record };
  } finally {
    await trainer.close();
  }
}

/** Fully connected layers, as convolutions that see the whole map, so that BN comes between any two. */
function network(batchNorm: boolean): Module {
  const { height, width, channels } = data.test;
  if (height !== width) throw new Error(`sigmoid-digits: pictures must be square, got ${height}x${width}`);
  const layers = Array.from({ length: recipe.layers }, (_, i) => [
    new Conv2d(i === 0 ? channels : recipe.units, recipe.units, i === 0 ? height : 1),
    ...(batchNorm ? [new BatchNorm2d(recipe.units)] : []),
    new Sigmoid(),
  ]).flat();
  return new Sequential(...layers, new Flatten(), new Linear(recipe.units, data.classes.length));
}

function digits(trainCount: number, testCount: number): DataSet {
  const classes = Array.from({ length: 10 }, (_, digit) => String(digit));
  const [train, test] = [drawn('digits/train', trainCount, 1, classes), drawn('digits/test', testCount, 2, classes)];
  return { name: join('drawn', 'digits'), train, test, classes };
}

/** Digits of a font of 5x7 dots, three pixels a dot, at a random place, of random brightness, on noise. */
function drawn(name: string, count: number, seed: number, classes: readonly string[]): ImageSet {
  const font = [
    ...['01110100011001110101110011000101110', '00100011000010000100001000010001110'],
    ...['01110100010000100010001000100011111', '11111000100010000010000011000101110'],
    ...['00010001100101010010111110001000010', '11111100001111000001000011000101110'],
    ...['00110010001000011110100011000101110', '11111000010001000100010000100001000'],
    ...['01110100011000101110100011000101110', '01110100011000101111000010001001100'],
  ] as const;
  const side = 28;
  const images = new Uint8Array(count * side * side);
  const labels = Int32Array.from({ length: count }, (_, i) => i % 10);
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let i = 0; i < count; i += 1) {
    const picture = images.subarray(i * side * side, (i + 1) * side * side);
    const [left, top, ink] = [random(side - 15), random(side - 21), 120 + random(80)];
    const dots = font[labels[i] as number] as string;
    for (let p = 0; p < picture.length; p += 1) {
      const [column, row] = [Math.floor(((p % side) - left) / 3), Math.floor((Math.floor(p / side) - top) / 3)];
      const inside = column >= 0 && column < 5 && row >= 0 && row < 7 && dots[row * 5 + column] === '1';
      picture[p] = random(56) + (inside ? ink : 0);
    }
  }
  return { name, images, labels, count, height: side, width: side, channels: 1, classes };
}
