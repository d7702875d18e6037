// Losses of the first training steps of small networks, for one device beside another: narrowed, on pictures of odd
// sizes, and between them with every kind of layer that the models have.
import { syntheticDataSet } from '../../../lib/data/index.ts';
import {
  type Classifier,
  createModel,
  highway19,
  inceptionV1,
  inceptionV2,
  resnet50,
} from '../../../lib/models/index.ts';
import { sgd } from '../../../lib/optim/index.ts';
import { compile, Device, type DeviceOptions, variablesOf } from '../../../lib/program.ts';
import { trainingGraph } from '../../../lib/train/step.ts';

export interface Network {
  readonly name: string;
  readonly batchSize: number;
  readonly imageSize: number;
  readonly learningRate: number;
  readonly model: () => Classifier;
}

const numClasses = 10;
const narrow = { numClasses, widthMultiplier: 1 / 8 };

const steps = 10;
const common = { batchSize: 2, learningRate: 1e-3 };

// Blocks of ResNet-50 begin as their shortcuts; Inception-v2, whose heads normalise one pixel of each picture, has four of
// them and a small learning rate: otherwise BN makes so much of a rounding that the CPU and the reference part as well.
// Inception-v1 has no BN: its loss begins at 100, and a larger learning rate makes it NaN.
export const networks: readonly Network[] = [
  { ...common, name: 'cifar-resnet20', imageSize: 32, model: () => createModel('cifar-resnet20') },
  {
    ...{ ...common, name: 'resnet50, bottlenecks', imageSize: 33 },
    model: () => resnet50({ ...narrow, zeroInitResidual: true }),
  },
  {
    ...{ ...common, name: 'inception-v2, dropout and auxiliary heads', imageSize: 65 },
    ...{ batchSize: 4, learningRate: 1e-5 },
    model: () => inceptionV2({ ...narrow, auxiliaryHeads: true, imageSize: 65 }),
  },
  {
    ...{ ...common, name: 'inception-v1, local response norm', imageSize: 33, learningRate: 1e-5 },
    model: () => inceptionV1(narrow),
  },
  {
    ...{ ...common, name: 'highway19', imageSize: 17, learningRate: 0.01 },
    model: () => highway19({ numClasses, widthMultiplier: 1 / 4 }),
  },
];

/** Of every step from 0 on. The same weights, pictures, crops and masks on every device. */
export async function lossesOf(
  deviceName: string,
  { batchSize, imageSize, learningRate, model }: Network,
  options: DeviceOptions = {},
): Promise<number[]> {
  const device = await Device.open(deviceName, options);
  try {
    const trainCount = batchSize * steps;
    const { train } = syntheticDataSet({ size: [imageSize, imageSize], numClasses, trainCount, testCount: 1 });
    const graph = trainingGraph({
      model: model(),
      set: train,
      batchSize,
      ampDtype: 'float32',
      normalisation: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
      optimizer: sgd({ momentum: 0.9, nesterov: true, weightDecay: 5e-4 }),
      augment: { padding: 4, flip: true },
      smoothing: 0.1,
      seed: 0,
    });
    const state = await device.createState(variablesOf(graph));
    const program = await compile(graph, { device, state });
    const indices = Int32Array.from({ length: trainCount }, (_, i) => i);
    await program.run(steps, { indices, learning_rate: new Float32Array(steps).fill(learningRate) });
    return Array.from(await state.read('ring.loss')).slice(0, steps);
  } finally {
    await device.close();
  }
}

/**
 * Both compute in float32 and sum in other orders; an error is relative where the loss is above 1, and less than doubles
 * per step at these learning rates (the CPU and the reference part by 5e-5 in the tenth at most). Returns what disagrees,
 * in words.
 */
export function disagreement(found: readonly number[], expected: readonly number[]): string | undefined {
  for (const [step, loss] of expected.entries()) {
    const [value, allowed] = [found[step] ?? Number.NaN, 1e-6 * 2 ** (step + 2) * Math.max(1, loss)];
    if (!(Math.abs(value - loss) < allowed)) return `loss of step ${step} is ${value}, expected ${loss} ± ${allowed}`;
  }
  return undefined;
}
