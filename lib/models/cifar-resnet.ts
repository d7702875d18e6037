// The CIFAR networks of He et al. 2015 (section 4.2) and, with pre-activation, He et al. 2016.
import { ArgumentError, checkOptions, type Value } from '../graph/index.ts';
import { BatchNorm2d, type Conv2d, GlobalAvgPool, Linear, type Module, ReLU, type Sequential } from '../nn/index.ts';
import { BasicBlock, conv3x3, PlainBlock, PreActBlock, projection, stage, zeroPadded } from './blocks.ts';
import { Classifier } from './classifier.ts';

export interface CifarPlainOptions {
  /** Layers with weights: 6n + 2, such as 20, 32, 44, 56, 110. */
  readonly depth: number;
  /** Default 10. */
  readonly numClasses?: number;
  /** Default 3. */
  readonly inChannels?: number;
  /** Of the channels of every layer. Default 1. */
  readonly widthMultiplier?: number;
}

export interface CifarResNetOptions extends CifarPlainOptions {
  /** BN and ReLU before each convolution instead of after it. Default false. */
  readonly preActivation?: boolean;
  /** Where a stage halves the map: A, zero channels (default), or B, a 1x1 convolution with BN. Pre-activation has its own. */
  readonly shortcut?: 'A' | 'B';
}

type Block = (inChannels: number, channels: number, stride: number) => Module;

interface Shape {
  readonly n: number;
  readonly numClasses: number;
  readonly inChannels: number;
  /** Of the first stage. */
  readonly width: number;
}

/**
 * | stage  | map   | channels | blocks |
 * |--------|-------|----------|--------|
 * | conv1  | 32x32 | 16       |        |
 * | layer1 | 32x32 | 16       | n      |
 * | layer2 | 16x16 | 32       | n      |
 * | layer3 | 8x8   | 64       | n      |
 */
class CifarResNet extends Classifier {
  readonly headPath = 'fc';
  readonly conv1: Conv2d;
  readonly bn1?: BatchNorm2d;
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly bn?: BatchNorm2d;
  readonly relu = new ReLU();
  readonly pool = new GlobalAvgPool();
  readonly fc: Linear;

  constructor({ n, numClasses, inChannels, width }: Shape, block: Block, preActivation = false) {
    super();
    const blocks = (inputs: number, channels: number, stride: number) =>
      stage(n, [inputs, channels], stride, (from, blockStride) => block(from, channels, blockStride));
    this.conv1 = conv3x3(inChannels, width);
    if (!preActivation) this.bn1 = new BatchNorm2d(width);
    this.layer1 = blocks(width, width, 1);
    this.layer2 = blocks(width, 2 * width, 2);
    this.layer3 = blocks(2 * width, 4 * width, 2);
    if (preActivation) this.bn = new BatchNorm2d(4 * width);
    this.fc = new Linear(4 * width, numClasses);
  }

  override forward(x: Value): Value {
    const stem = this.conv1.call(x);
    const y = this.bn1 ? this.relu.call(this.bn1.call(stem)) : stem;
    const z = this.layer3.call(this.layer2.call(this.layer1.call(y)));
    const top = this.bn ? this.relu.call(this.bn.call(z)) : z;
    return this.fc.call(this.pool.call(top));
  }
}

const plainOptions = ['depth', 'numClasses', 'inChannels', 'widthMultiplier'];

export function cifarResNet(options: CifarResNetOptions): Classifier {
  checkOptions('cifarResNet', options, [...plainOptions, 'preActivation', 'shortcut']);
  const { preActivation = false, shortcut = 'A' } = options;
  if (shortcut !== 'A' && shortcut !== 'B') {
    throw new ArgumentError(`cifarResNet: shortcut must be 'A' or 'B', got ${String(shortcut)}`);
  }
  const shape = shapeOf('cifarResNet', options);
  if (preActivation) return new CifarResNet(shape, (...place) => new PreActBlock(...place), true);
  return new CifarResNet(shape, (...place) => new BasicBlock(...place, shortcut === 'A' ? zeroPadded : projection));
}

/** The same layers without shortcuts: deeper is worse (He et al. 2015, figure 6 left). */
export function cifarPlain(options: CifarPlainOptions): Classifier {
  checkOptions('cifarPlain', options, plainOptions);
  return new CifarResNet(shapeOf('cifarPlain', options), (...place) => new PlainBlock(...place));
}

function shapeOf(where: string, options: CifarPlainOptions): Shape {
  const { depth, numClasses = 10, inChannels = 3, widthMultiplier = 1 } = options;
  const n = (depth - 2) / 6;
  if (!Number.isInteger(depth) || !Number.isInteger(n) || n < 1) {
    throw new ArgumentError(`${where}: depth must be 6n + 2 (8, 14, 20, 32, 44, 56, 110 ...), got ${String(depth)}`);
  }
  return { n, numClasses, inChannels, width: 16 * widthMultiplier };
}
