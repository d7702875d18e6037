// ResNet-18 (He et al. 2015, table 1) for small images: a 3x3 stem that keeps the size, and shortcuts without BN.
import { checkOptions, type Value } from '../graph/index.ts';
import { BatchNorm2d, Conv2d, GlobalAvgPool, Linear, MaxPool2d, ReLU, type Sequential } from '../nn/index.ts';
import { BasicBlock, type Shortcut, stage } from './blocks.ts';
import { Classifier } from './classifier.ts';

export interface ResNet18SmallOptions {
  /** Default 10. */
  readonly numClasses?: number;
  /** Default 3. */
  readonly inChannels?: number;
  /** Of the channels of every layer. Default 1. */
  readonly widthMultiplier?: number;
}

/** A strided 1x1 convolution with bias. */
const convolution: Shortcut = (inChannels, channels, stride) => new Conv2d(inChannels, channels, 1, { stride });

/**
 * | stage   | of 32x32 | layers                                      |
 * |---------|----------|---------------------------------------------|
 * | conv1   | 30x30    | 3x3, 64, without padding; BN, ReLU          |
 * | maxpool | 30x30    | 2x2, stride 1, padded at the right and foot |
 * | layer1  | 30x30    | 2 basic blocks of 64                        |
 * | layer2  | 15x15    | 2 of 128                                    |
 * | layer3  | 8x8      | 2 of 256                                    |
 * | layer4  | 4x4      | 2 of 512                                    |
 */
class ResNet18Small extends Classifier {
  readonly headPath = 'fc';
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly relu = new ReLU();
  readonly maxpool = new MaxPool2d(2, { stride: 1, padding: 'same' });
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly layer4: Sequential;
  readonly avgpool = new GlobalAvgPool();
  readonly fc: Linear;

  constructor({ numClasses = 10, inChannels = 3, widthMultiplier = 1 }: ResNet18SmallOptions) {
    super();
    const width = 64 * widthMultiplier;
    this.conv1 = new Conv2d(inChannels, width, 3, { bias: false });
    this.bn1 = new BatchNorm2d(width);
    this.layer1 = blocks(width, width, 1);
    this.layer2 = blocks(width, 2 * width, 2);
    this.layer3 = blocks(2 * width, 4 * width, 2);
    this.layer4 = blocks(4 * width, 8 * width, 2);
    this.fc = new Linear(8 * width, numClasses);
  }

  override forward(x: Value): Value {
    const stem = this.maxpool.call(this.relu.call(this.bn1.call(this.conv1.call(x))));
    const y = this.layer4.call(this.layer3.call(this.layer2.call(this.layer1.call(stem))));
    return this.fc.call(this.avgpool.call(y));
  }
}

function blocks(inputs: number, channels: number, stride: number): Sequential {
  return stage(
    2,
    [inputs, channels],
    stride,
    (from, blockStride) => new BasicBlock(from, channels, blockStride, convolution),
  );
}

export function resnet18Small(options: ResNet18SmallOptions = {}): Classifier {
  checkOptions('resnet18Small', options, ['numClasses', 'inChannels', 'widthMultiplier']);
  return new ResNet18Small(options);
}
