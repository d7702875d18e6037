// A net and a set so small that a whole run takes a second on any device.
import type { DataSet, ImageSet } from '../../lib/data/types.ts';
import { BatchNorm2d, Conv2d, GlobalAvgPool, Linear, ReLU, Sequential } from '../../lib/nn/index.ts';
import { schedules, sgd } from '../../lib/optim/index.ts';
import { Device } from '../../lib/program.ts';
import type { TrainerOptions } from '../../lib/train/options.ts';

const side = 8;

/** Two classes, told apart by the direction of stripes; noise and phase differ from picture to picture. */
function stripes(name: string, count: number, seed: number): ImageSet {
  const images = new Uint8Array(count * side * side * 3);
  const labels = Int32Array.from({ length: count }, (_, i) => i % 2);
  let state = seed >>> 0;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  for (let i = 0; i < count; i += 1) {
    const phase = Math.floor(4 * random());
    for (let p = 0; p < side * side; p += 1) {
      const along = labels[i] === 0 ? Math.floor(p / side) : p % side;
      const level = (along + phase) % 4 < 2 ? 70 : 180;
      for (let c = 0; c < 3; c += 1) images[(i * side * side + p) * 3 + c] = level + Math.floor(60 * random());
    }
  }
  return { name, images, labels, count, height: side, width: side, channels: 3, classes: ['rows', 'columns'] };
}

export function tinyData(trainCount = 96, testCount = 21): DataSet {
  const [train, test] = [stripes('tiny/train', trainCount, 1), stripes('tiny/test', testCount, 2)];
  return { name: 'tiny', train, test, classes: train.classes };
}

export function tinyModel(channels = 4): Sequential {
  return new Sequential(
    new Conv2d(3, channels, 3, { padding: 1, bias: false }),
    new BatchNorm2d(channels),
    new ReLU(),
    new GlobalAvgPool(),
    new Linear(channels, 2),
  );
}

/** The CPU back end where it is built. */
export function testDevice(): string {
  return Device.backends().some(({ name, available }) => name === 'cpu' && available) ? 'cpu' : 'reference';
}

export function tinyRun(options: Partial<TrainerOptions> = {}): TrainerOptions {
  return {
    model: tinyModel(),
    modelName: 'tiny',
    data: tinyData(),
    device: testDevice(),
    threads: 1,
    batchSize: 8,
    epochs: 3,
    optimizer: sgd({ momentum: 0.9, nesterov: true, weightDecay: 1e-4 }),
    schedule: schedules.constant(0.05),
    augment: { padding: 1, flip: true },
    seed: 3,
    progress: false,
    ...options,
  };
}
