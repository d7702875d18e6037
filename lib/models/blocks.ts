// Residual blocks of two 3x3 convolutions. Names of children as in torchvision.
import type { Value } from '../graph/index.ts';
import { BatchNorm2d, Conv2d, Module, ReLU, Sequential } from '../nn/index.ts';
import { add, subsamplePad } from '../ops/index.ts';

export type Shortcut = 'A' | 'B';

export function conv3x3(inChannels: number, outChannels: number, stride = 1): Conv2d {
  return new Conv2d(inChannels, outChannels, 3, { stride, padding: 1, bias: false });
}

function conv1x1(inChannels: number, outChannels: number, stride: number): Conv2d {
  return new Conv2d(inChannels, outChannels, 1, { stride, bias: false });
}

/** Shortcut without parameters: every stride-th pixel, zeros for the new channels (He et al. 2015, section 4.2). */
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

/** conv-BN-ReLU-conv-BN, plus the shortcut, then ReLU (He et al. 2015, figure 2). */
export class BasicBlock extends Module {
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
    if (stride === 1 && inChannels === channels) return;
    this.downsample =
      shortcut === 'A'
        ? new SubsamplePad(channels, stride)
        : new Sequential(conv1x1(inChannels, channels, stride), new BatchNorm2d(channels));
  }

  override forward(x: Value): Value {
    const y = this.relu.call(this.bn1.call(this.conv1.call(x)));
    const residual = this.bn2.call(this.conv2.call(y));
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

/** The blocks of one stage; the first one takes the stride. */
export function stage(count: number, stride: number, block: (first: boolean, stride: number) => Module): Sequential {
  return new Sequential(...Array.from({ length: count }, (_, i) => block(i === 0, i === 0 ? stride : 1)));
}
