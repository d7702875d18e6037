// The ImageNet networks of He et al. 2015 (table 1); names of parameters as in torchvision.
import { ArgumentError, checkOptions, type Value } from '../graph/index.ts';
import { BatchNorm2d, Conv2d, GlobalAvgPool, init, Linear, MaxPool2d, ReLU, type Sequential } from '../nn/index.ts';
import { BasicBlock, Bottleneck, projection, stage } from './blocks.ts';
import { Classifier } from './classifier.ts';

export interface ResNetOptions {
  /** Default 1000. */
  readonly numClasses?: number;
  /** Default 3. */
  readonly inChannels?: number;
  /** Starts the last BN of every block at zero, so that a block begins as its shortcut (Goyal et al. 2017). Default false. */
  readonly zeroInitResidual?: boolean;
  /** Of the channels of every layer. Default 1. */
  readonly widthMultiplier?: number;
}

export interface BottleneckResNetOptions extends ResNetOptions {
  /** Stride in the 3x3 convolution of a bottleneck (v1.5, default, as torchvision) or in its first 1x1 (v1, the paper). */
  readonly variant?: 'v1' | 'v1.5';
}

/**
 * | stage   | of 224x224 | layers                                   |
 * |---------|------------|------------------------------------------|
 * | conv1   | 112x112    | 7x7, 64, stride 2; BN, ReLU              |
 * | maxpool | 56x56      | 3x3, stride 2                            |
 * | layer1  | 56x56      | basic blocks of 64, or bottlenecks of 64 |
 * | layer2  | 28x28      | 128                                      |
 * | layer3  | 14x14      | 256                                      |
 * | layer4  | 7x7        | 512                                      |
 */
export class ResNet extends Classifier {
  readonly headPath = 'fc';
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly relu = new ReLU();
  readonly maxpool = new MaxPool2d(3, { stride: 2, padding: 1 });
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly layer4: Sequential;
  readonly avgpool = new GlobalAvgPool();
  readonly fc: Linear;

  /** `blocks`: how many in each of the four stages. */
  constructor(kind: 'basic' | 'v1' | 'v1.5', blocks: readonly number[], options: ResNetOptions = {}) {
    super();
    const { numClasses = 1000, inChannels = 3, zeroInitResidual = false, widthMultiplier = 1 } = options;
    const { expansion } = kind === 'basic' ? BasicBlock : Bottleneck;
    const width = 64 * widthMultiplier;
    const layer = (i: number, inputs: number, channels: number, stride: number) =>
      stage(blocks[i] as number, [inputs, expansion * channels], stride, (from, blockStride) =>
        kind === 'basic'
          ? new BasicBlock(from, channels, blockStride, projection)
          : new Bottleneck(from, channels, blockStride, kind),
      );
    this.conv1 = new Conv2d(inChannels, width, 7, { stride: 2, padding: 3, bias: false });
    this.bn1 = new BatchNorm2d(width);
    this.layer1 = layer(0, width, width, 1);
    this.layer2 = layer(1, expansion * width, 2 * width, 2);
    this.layer3 = layer(2, 2 * expansion * width, 4 * width, 2);
    this.layer4 = layer(3, 4 * expansion * width, 8 * width, 2);
    this.fc = new Linear(8 * expansion * width, numClasses);
    if (zeroInitResidual) this.#zeroLastNorms();
  }

  override forward(x: Value): Value {
    const stem = this.maxpool.call(this.relu.call(this.bn1.call(this.conv1.call(x))));
    const y = this.layer4.call(this.layer3.call(this.layer2.call(this.layer1.call(stem))));
    return this.fc.call(this.avgpool.call(y));
  }

  #zeroLastNorms(): void {
    for (const [, block] of this.namedModules()) {
      if (block instanceof BasicBlock || block instanceof Bottleneck) {
        block.lastNorm.weight.initialiser = init.constant(0);
      }
    }
  }
}

const options = ['numClasses', 'inChannels', 'zeroInitResidual', 'widthMultiplier'];

function basic(name: string, blocks: readonly number[]) {
  return (given: ResNetOptions = {}): ResNet => {
    checkOptions(name, given, options);
    return new ResNet('basic', blocks, given);
  };
}

function bottleneck(name: string, blocks: readonly number[]) {
  return (given: BottleneckResNetOptions = {}): ResNet => {
    checkOptions(name, given, [...options, 'variant']);
    const { variant = 'v1.5', ...rest } = given;
    if (variant !== 'v1' && variant !== 'v1.5') {
      throw new ArgumentError(`${name}: variant must be 'v1' or 'v1.5', got ${String(variant)}`);
    }
    return new ResNet(variant, blocks, rest);
  };
}

export const resnet18 = basic('resnet18', [2, 2, 2, 2]);
export const resnet34 = basic('resnet34', [3, 4, 6, 3]);
export const resnet50 = bottleneck('resnet50', [3, 4, 6, 3]);
export const resnet101 = bottleneck('resnet101', [3, 4, 23, 3]);
export const resnet152 = bottleneck('resnet152', [3, 8, 36, 3]);
