// The pre-activation networks of He et al. 2016, "Identity Mappings in Deep Residual Networks"; names of parameters as in
// timm. Two forms: tf-slim's, with the stride in the last unit of a stage, and timm's, with the stride in the first.
import { ArgumentError, checkOptions, type Value } from '../graph/index.ts';
import {
  BatchNorm2d,
  Conv2d,
  type Conv2dOptions,
  Identity,
  init,
  MaxPool2d,
  Module,
  ReLU,
  Sequential,
} from '../nn/index.ts';
import { add, avgPool2d, flatten } from '../ops/index.ts';
import { Classifier } from './classifier.ts';

export interface ResNetV2Options {
  /** Default 1000. */
  readonly numClasses?: number;
  /** Default 3. */
  readonly inChannels?: number;
  /** Whether the logits are means over the map; without, they are a map [N, numClasses, H / 32, W / 32]. Default true. */
  readonly globalPool?: boolean;
  /** The 7x7 convolution and the pool in front of the stages; without, the input goes to the first stage. Default true. */
  readonly includeRootBlock?: boolean;
  /** Of the channels of every layer. Default 1. */
  readonly widthMultiplier?: number;
}

export interface TimmResNetV2Options extends ResNetV2Options {
  /** Stride in the last unit of a stage (tfslim, default) or in the first (timm, whose weights then load). */
  readonly variant?: Variant;
}

type Variant = 'tfslim' | 'timm';

/**
 * What else tells the two forms apart: tf-slim gives a bias to every convolution that no BN follows (its stem, shortcuts
 * and last convolutions of a unit), pads its pool as TensorFlow does, and moves the running statistics by 0.003.
 */
const forms = {
  tfslim: { bias: true, poolPadding: 'same', momentum: 0.003 },
  timm: { bias: false, poolPadding: 1, momentum: 0.1 },
} as const;

function convolution(inChannels: number, outChannels: number, size: number, options: Conv2dOptions): Conv2d {
  const conv = new Conv2d(inChannels, outChannels, size, {
    ...options,
    padding: 'fixed',
    initialiser: init.kaimingNormal(),
  });
  if (conv.bias) conv.bias.initialiser = init.constant(0);
  return conv;
}

/** The 1x1 convolution of a shortcut, a module of its own as in timm. */
class Downsample extends Module {
  readonly conv: Conv2d;

  constructor(inChannels: number, outChannels: number, stride: number, bias: boolean) {
    super();
    this.conv = convolution(inChannels, outChannels, 1, { stride, bias });
  }

  override forward(x: Value): Value {
    return this.conv.call(x);
  }
}

/** BN-ReLU before each of 1x1, 3x3 and 1x1 convolutions; the shortcut is the input, subsampled, or a 1x1 convolution. */
class PreActBottleneck extends Module {
  readonly downsample?: Module;
  readonly norm1: BatchNorm2d;
  readonly conv1: Conv2d;
  readonly norm2: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly norm3: BatchNorm2d;
  readonly conv3: Conv2d;
  readonly relu = new ReLU();
  readonly shortcut?: Module;

  constructor(inChannels: number, outChannels: number, stride: number, variant: Variant) {
    super();
    const { bias, momentum } = forms[variant];
    const inner = outChannels / 4;
    if (inChannels !== outChannels) this.downsample = new Downsample(inChannels, outChannels, stride, bias);
    else if (stride !== 1) this.shortcut = new MaxPool2d(1, { stride });
    this.norm1 = new BatchNorm2d(inChannels, { momentum });
    this.conv1 = convolution(inChannels, inner, 1, { bias: false });
    this.norm2 = new BatchNorm2d(inner, { momentum });
    this.conv2 = convolution(inner, inner, 3, { stride, bias: false });
    this.norm3 = new BatchNorm2d(inner, { momentum });
    this.conv3 = convolution(inner, outChannels, 1, { bias });
  }

  override forward(x: Value): Value {
    const active = this.relu.call(this.norm1.call(x));
    const y = this.relu.call(this.norm2.call(this.conv1.call(active)));
    const z = this.relu.call(this.norm3.call(this.conv2.call(y)));
    const shortcut = this.downsample?.call(active) ?? this.shortcut?.call(x) ?? x;
    return add(this.conv3.call(z), shortcut);
  }
}

class Stem extends Module {
  readonly conv: Conv2d;
  readonly pool: MaxPool2d;

  constructor(inChannels: number, outChannels: number, variant: Variant) {
    super();
    const { bias, poolPadding } = forms[variant];
    this.conv = convolution(inChannels, outChannels, 7, { stride: 2, bias });
    this.pool = new MaxPool2d(3, { stride: 2, padding: poolPadding });
  }

  override forward(x: Value): Value {
    return this.pool.call(this.conv.call(x));
  }
}

class Stage extends Module {
  readonly blocks: Sequential;

  constructor(units: number, inChannels: number, outChannels: number, stride: number, variant: Variant) {
    super();
    const strided = variant === 'timm' ? 0 : units - 1;
    const unit = (_: unknown, i: number) =>
      new PreActBottleneck(i === 0 ? inChannels : outChannels, outChannels, i === strided ? stride : 1, variant);
    this.blocks = new Sequential(...Array.from({ length: units }, unit));
  }

  override forward(x: Value): Value {
    return this.blocks.call(x);
  }
}

/** Mean over the map, then a 1x1 convolution; or the convolution alone. */
class Head extends Module {
  readonly fc: Conv2d;
  readonly globalPool: boolean;

  constructor(inChannels: number, numClasses: number, globalPool: boolean) {
    super();
    this.fc = convolution(inChannels, numClasses, 1, { bias: true });
    this.globalPool = globalPool;
  }

  override forward(x: Value): Value {
    if (!this.globalPool) return this.fc.call(x);
    const [, , height, width] = x.shape as [number, number, number, number];
    return flatten(this.fc.call(avgPool2d(x, { kernel: [height, width] })));
  }
}

/**
 * Stages of `units` bottlenecks with 256, 512, 1024 and 2048 channels out. tf-slim's stages have the strides 2, 2, 2, 1 in
 * their last units, timm's 1, 2, 2, 2 in their first.
 */
export class ResNetV2 extends Classifier {
  readonly headPath = 'head.fc';
  readonly stem: Module;
  readonly stages: Sequential;
  readonly norm: BatchNorm2d;
  readonly relu = new ReLU();
  readonly head: Head;

  constructor(variant: Variant, units: readonly number[], options: ResNetV2Options = {}) {
    super();
    const { numClasses = 1000, inChannels = 3, globalPool = true, includeRootBlock = true } = options;
    const { widthMultiplier = 1 } = options;
    const width = 64 * widthMultiplier;
    const strides = variant === 'timm' ? [1, 2, 2, 2] : [2, 2, 2, 1];
    const outChannels = (i: number) => 4 * width * 2 ** i;
    this.stem = includeRootBlock ? new Stem(inChannels, width, variant) : new Identity();
    const first = includeRootBlock ? width : inChannels;
    const stages = units.map((count, i) => {
      const inputs = i === 0 ? first : outChannels(i - 1);
      return new Stage(count, inputs, outChannels(i), strides[i] as number, variant);
    });
    this.stages = new Sequential(...stages);
    const last = outChannels(units.length - 1);
    this.norm = new BatchNorm2d(last, { momentum: forms[variant].momentum });
    this.head = new Head(last, numClasses, globalPool);
  }

  override get endPoints(): string[] {
    const stages = this.stages.children().map(([name]) => `stages.${name}`);
    return ['stem', ...stages, 'norm', 'relu', 'head'];
  }

  override forward(x: Value): Value {
    const y = this.stages.call(this.stem.call(x));
    return this.head.call(this.relu.call(this.norm.call(y)));
  }
}

const options = ['numClasses', 'inChannels', 'globalPool', 'includeRootBlock', 'widthMultiplier'];

function network(name: string, units: readonly number[]) {
  return (given: TimmResNetV2Options = {}): ResNetV2 => {
    checkOptions(name, given, [...options, 'variant']);
    const { variant = 'tfslim', ...rest } = given;
    if (variant !== 'tfslim' && variant !== 'timm') {
      throw new ArgumentError(`${name}: variant must be 'tfslim' or 'timm', got ${String(variant)}`);
    }
    return new ResNetV2(variant, units, rest);
  };
}

export const resnet50V2 = network('resnet50V2', [3, 4, 6, 3]);
export const resnet101V2 = network('resnet101V2', [3, 4, 23, 3]);
export const resnet152V2 = network('resnet152V2', [3, 8, 36, 3]);
export const resnet200V2 = network('resnet200V2', [3, 24, 36, 3]);
