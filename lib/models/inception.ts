// What the Inception networks are built from. Names of children as in torchvision.
import type { Value } from '../graph/index.ts';
import {
  AvgPool2d,
  BatchNorm2d,
  type BatchNorm2dOptions,
  Conv2d,
  Dropout,
  Flatten,
  Linear,
  Module,
  ReLU,
  Sigmoid,
} from '../nn/index.ts';
import { concat } from '../ops/index.ts';

export type Activation = 'relu' | 'sigmoid';

export function activation(name: Activation): Module {
  return name === 'relu' ? new ReLU() : new Sigmoid();
}

/** What a network's convolutions have in common. Without `norm` they have a bias instead. */
export interface Style {
  readonly activation: Activation;
  readonly norm?: BatchNorm2dOptions;
}

/** A convolution padded to keep the size (before striding), its BN, its activation. */
export class ConvUnit extends Module {
  readonly conv: Module;
  readonly bn?: BatchNorm2d;
  readonly activation: Module;

  constructor(conv: Module, outChannels: number, style: Style) {
    super();
    this.conv = conv;
    if (style.norm) this.bn = new BatchNorm2d(outChannels, style.norm);
    this.activation = activation(style.activation);
  }

  override forward(x: Value): Value {
    const y = this.conv.call(x);
    return this.activation.call(this.bn?.call(y) ?? y);
  }
}

export function convUnit(inChannels: number, outChannels: number, size: number, style: Style, stride = 1): ConvUnit {
  const conv = new Conv2d(inChannels, outChannels, size, { stride, padding: 'same', bias: style.norm === undefined });
  return new ConvUnit(conv, outChannels, style);
}

/** Branches over one input, one after the other along the channels. */
export class Mixed extends Module {
  readonly branch1?: Module;
  readonly branch2: Module;
  readonly branch3: Module;
  readonly branch4: Module;

  constructor(branches: { branch1?: Module; branch2: Module; branch3: Module; branch4: Module }) {
    super();
    if (branches.branch1) this.branch1 = branches.branch1;
    this.branch2 = branches.branch2;
    this.branch3 = branches.branch3;
    this.branch4 = branches.branch4;
  }

  override forward(x: Value): Value {
    const branches = [this.branch1, this.branch2, this.branch3, this.branch4];
    return concat(branches.flatMap((branch) => (branch ? [branch.call(x)] : [])));
  }
}

/** 5x5/3 average pool, 1x1 to 128, fully connected to 1024, dropout 0.7, linear (Szegedy et al. 2014, section 5). */
export class AuxiliaryHead extends Module {
  readonly pool = new AvgPool2d(5, { stride: 3 });
  readonly conv: ConvUnit;
  readonly flatten = new Flatten();
  readonly fc1: Linear;
  readonly activation: Module;
  readonly dropout: Dropout;
  readonly fc2: Linear;

  /** `map`: the size of the square map that comes in. */
  constructor(inChannels: number, numClasses: number, map: number, dropout: number, style: Style) {
    super();
    this.conv = convUnit(inChannels, 128, 1, style);
    this.fc1 = new Linear(128 * (Math.floor((map - 5) / 3) + 1) ** 2, 1024);
    this.activation = activation(style.activation);
    this.dropout = new Dropout(dropout);
    this.fc2 = new Linear(1024, numClasses);
  }

  override forward(x: Value): Value {
    const y = this.flatten.call(this.conv.call(this.pool.call(x)));
    return this.fc2.call(this.dropout.call(this.activation.call(this.fc1.call(y))));
  }
}
