// A convolutional highway network of 19 layers for CIFAR-10 (Srivastava et al. 2015, "Training Very Deep Networks").
import { checkOptions, type Value } from '../graph/index.ts';
import { Conv2d, GlobalAvgPool, Highway, Linear, MaxPool2d, Module, ReLU, Sequential } from '../nn/index.ts';
import { Classifier } from './classifier.ts';

export interface HighwayOptions {
  /** Default 10. */
  readonly numClasses?: number;
  /** Default 3. */
  readonly inChannels?: number;
  /** Where the biases of the transform gates begin. Default -2. */
  readonly gateBias?: number;
  /** Of the channels of every layer. Default 1. */
  readonly widthMultiplier?: number;
}

/** A convolution that changes the channels, then five highway units. */
class Stage extends Module {
  readonly conv: Conv2d;
  readonly relu = new ReLU();
  readonly units: Sequential;

  constructor(inChannels: number, channels: number, gateBias: number) {
    super();
    this.conv = new Conv2d(inChannels, channels, 3, { padding: 'same' });
    this.units = new Sequential(...Array.from({ length: 5 }, () => new Highway(channels, { kernelSize: 3, gateBias })));
  }

  override forward(x: Value): Value {
    return this.units.call(this.relu.call(this.conv.call(x)));
  }
}

/**
 * | stage | map   | channels | layers                     |
 * |-------|-------|----------|----------------------------|
 * | 1     | 32x32 | 32       | convolution, 5 highway     |
 * | 2     | 16x16 | 80       | the same, behind a 2x2 pool |
 * | 3     | 8x8   | 128      | the same, behind a 2x2 pool |
 */
class Highway19 extends Classifier {
  readonly headPath = 'fc';
  readonly stage1: Stage;
  readonly pool1 = new MaxPool2d(2);
  readonly stage2: Stage;
  readonly pool2 = new MaxPool2d(2);
  readonly stage3: Stage;
  readonly avgpool = new GlobalAvgPool();
  readonly fc: Linear;

  constructor({ numClasses = 10, inChannels = 3, gateBias = -2, widthMultiplier = 1 }: HighwayOptions) {
    super();
    const [narrow, middle, wide] = [32, 80, 128].map((channels) => channels * widthMultiplier) as [
      number,
      number,
      number,
    ];
    this.stage1 = new Stage(inChannels, narrow, gateBias);
    this.stage2 = new Stage(narrow, middle, gateBias);
    this.stage3 = new Stage(middle, wide, gateBias);
    this.fc = new Linear(wide, numClasses);
  }

  override forward(x: Value): Value {
    const y = this.stage2.call(this.pool1.call(this.stage1.call(x)));
    return this.fc.call(this.avgpool.call(this.stage3.call(this.pool2.call(y))));
  }
}

export function highway19(options: HighwayOptions = {}): Classifier {
  checkOptions('highway19', options, ['numClasses', 'inChannels', 'gateBias', 'widthMultiplier']);
  return new Highway19(options);
}
