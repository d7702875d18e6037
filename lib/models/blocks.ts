// The blocks of residual networks. Names of children as in torchvision.
import type { Value } from '../graph/index.ts';
import { BatchNorm2d, Conv2d, Module, ReLU, Sequential } from '../nn/index.ts';
import { add, subsamplePad } from '../ops/index.ts';

/** What brings a block's input to the size of its output, where they differ. */
export type Shortcut = (inChannels: number, outChannels: number, stride: number) => Module;

export function conv3x3(inChannels: number, outChannels: number, stride = 1): Conv2d {
  return new Conv2d(inChannels, outChannels, 3, { stride, padding: 1, bias: false });
}

export function conv1x1(inChannels: number, outChannels: number, stride = 1): Conv2d {
  return new Conv2d(inChannels, outChannels, 1, { stride, bias: false });
}

/** Every stride-th pixel, zeros for the new channels: no parameters (He et al. 2015, section 4.2, option A). */
class SubsamplePad extends Module {
  readonly channels: number;
  readonly stride: number;

  constructor(channels: number, stride: number) {
    super();
    this.channels = channels;
    this.stride = stride;
  }

  override forward(x: Value): Value {
    return subsamplePad(x, { channels: this.channels, stride: this.stride });
  }
}

export const zeroPadded: Shortcut = (_inputs, channels, stride) => new SubsamplePad(channels, stride);

/** A 1x1 convolution with BN (option B). */
export const projection: Shortcut = (inChannels, channels, stride) =>
  new Sequential(conv1x1(inChannels, channels, stride), new BatchNorm2d(channels));

/** conv-BN-ReLU-conv-BN-ReLU, without a shortcut (He et al. 2015, the plain networks of table 1 and figure 6). */
export class PlainBlock extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly relu = new ReLU();

  constructor(inChannels: number, channels: number, stride: number) {
    super();
    this.conv1 = conv3x3(inChannels, channels, stride);
    this.bn1 = new BatchNorm2d(channels);
    this.conv2 = conv3x3(channels, channels);
    this.bn2 = new BatchNorm2d(channels);
  }

  override forward(x: Value): Value {
    const y = this.relu.call(this.bn1.call(this.conv1.call(x)));
    return this.relu.call(this.bn2.call(this.conv2.call(y)));
  }
}

/** conv-BN-ReLU-conv-BN, plus the shortcut, then ReLU (He et al. 2015, figure 2). */
export class BasicBlock extends Module {
  static readonly expansion = 1;
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly relu = new ReLU();
  readonly downsample?: Module;

  constructor(inChannels: number, channels: number, stride: number, shortcut: Shortcut) {
    super();
    this.conv1 = conv3x3(inChannels, channels, stride);
    this.bn1 = new BatchNorm2d(channels);
    this.conv2 = conv3x3(channels, channels);
    this.bn2 = new BatchNorm2d(channels);
    if (stride !== 1 || inChannels !== channels) this.downsample = shortcut(inChannels, channels, stride);
  }

  get lastNorm(): BatchNorm2d {
    return this.bn2;
  }

  override forward(x: Value): Value {
    const y = this.relu.call(this.bn1.call(this.conv1.call(x)));
    const residual = this.bn2.call(this.conv2.call(y));
    return this.relu.call(add(residual, this.downsample?.call(x) ?? x));
  }
}

/**
 * 1x1, 3x3 and 1x1 convolutions with BN, plus the shortcut, then ReLU; four times `channels` go out (He et al. 2015,
 * figure 5). The stride is in the 3x3 convolution (v1.5, as torchvision) or in the first 1x1 (v1, as the paper).
 */
export class Bottleneck extends Module {
  static readonly expansion = 4;
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly conv3: Conv2d;
  readonly bn3: BatchNorm2d;
  readonly relu = new ReLU();
  readonly downsample?: Module;

  constructor(inChannels: number, channels: number, stride: number, variant: 'v1' | 'v1.5') {
    super();
    const outChannels = Bottleneck.expansion * channels;
    const early = variant === 'v1';
    this.conv1 = conv1x1(inChannels, channels, early ? stride : 1);
    this.bn1 = new BatchNorm2d(channels);
    this.conv2 = conv3x3(channels, channels, early ? 1 : stride);
    this.bn2 = new BatchNorm2d(channels);
    this.conv3 = conv1x1(channels, outChannels);
    this.bn3 = new BatchNorm2d(outChannels);
    if (stride !== 1 || inChannels !== outChannels) this.downsample = projection(inChannels, outChannels, stride);
  }

  get lastNorm(): BatchNorm2d {
    return this.bn3;
  }

  override forward(x: Value): Value {
    const y = this.relu.call(this.bn1.call(this.conv1.call(x)));
    const z = this.relu.call(this.bn2.call(this.conv2.call(y)));
    const residual = this.bn3.call(this.conv3.call(z));
    return this.relu.call(add(residual, this.downsample?.call(x) ?? x));
  }
}

/** BN-ReLU-conv-BN-ReLU-conv, plus the shortcut (He et al. 2016, "Identity mappings"); a 1x1 shortcut sees the activated input. */
export class PreActBlock extends Module {
  readonly bn1: BatchNorm2d;
  readonly conv1: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly relu = new ReLU();
  readonly downsample?: Conv2d;

  constructor(inChannels: number, channels: number, stride: number) {
    super();
    this.bn1 = new BatchNorm2d(inChannels);
    this.conv1 = conv3x3(inChannels, channels, stride);
    this.bn2 = new BatchNorm2d(channels);
    this.conv2 = conv3x3(channels, channels);
    if (stride !== 1 || inChannels !== channels) this.downsample = conv1x1(inChannels, channels, stride);
  }

  override forward(x: Value): Value {
    const active = this.relu.call(this.bn1.call(x));
    const y = this.relu.call(this.bn2.call(this.conv1.call(active)));
    return add(this.conv2.call(y), this.downsample?.call(active) ?? x);
  }
}

/** `count` blocks of one stage; the first takes the stride and the stage's input, the others its output. */
export function stage(
  count: number,
  [inChannels, outChannels]: readonly [number, number],
  stride: number,
  block: (inChannels: number, stride: number) => Module,
): Sequential {
  const first = block(inChannels, stride);
  return new Sequential(first, ...Array.from({ length: count - 1 }, () => block(outChannels, 1)));
}
