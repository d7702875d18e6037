// ResNet-18 (He et al. 2015, table 1) for small images: a 3x3 stem without pooling.
import { checkOptions, type Value } from '../graph/index.ts';
import { BatchNorm2d, type Conv2d, GlobalAvgPool, Linear, Module, ReLU, type Sequential } from '../nn/index.ts';
import { BasicBlock, conv3x3, stage } from './blocks.ts';

export interface ResNet18SmallOptions {
  /** Default 10. */
  readonly numClasses?: number;
  /** Default 3. */
  readonly inChannels?: number;
}

class ResNet18Small extends Module {
  readonly conv1: Conv2d;
  readonly bn1 = new BatchNorm2d(64);
  readonly layer1 = blocks(64, 64, 1);
  readonly layer2 = blocks(64, 128, 2);
  readonly layer3 = blocks(128, 256, 2);
  readonly layer4 = blocks(256, 512, 2);
  readonly relu = new ReLU();
  readonly pool = new GlobalAvgPool();
  readonly fc: Linear;

  constructor({ numClasses = 10, inChannels = 3 }: ResNet18SmallOptions) {
    super();
    this.conv1 = conv3x3(inChannels, 64);
    this.fc = new Linear(512, numClasses);
  }

  override forward(x: Value): Value {
    const stem = this.relu.call(this.bn1.call(this.conv1.call(x)));
    const y = this.layer4.call(this.layer3.call(this.layer2.call(this.layer1.call(stem))));
    return this.fc.call(this.pool.call(y));
  }
}

function blocks(inputs: number, channels: number, stride: number): Sequential {
  return stage(
    2,
    stride,
    (first, blockStride) => new BasicBlock(first ? inputs : channels, channels, blockStride, 'B'),
  );
}

export function resnet18Small(options: ResNet18SmallOptions = {}): Module {
  checkOptions('resnet18Small', options, ['numClasses', 'inChannels']);
  return new ResNet18Small(options);
}
