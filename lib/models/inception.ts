// What the Inception networks are built from, and what both end in. Names of children as in torchvision.
import { ArgumentError, type Value } from '../graph/index.ts';
import {
  AvgPool2d,
  BatchNorm2d,
  type BatchNorm2dOptions,
  Conv2d,
  Dropout,
  Flatten,
  GlobalAvgPool,
  init,
  Linear,
  Module,
  ReLU,
  Sigmoid,
} from '../nn/index.ts';
import { concat } from '../ops/index.ts';
import { Classifier, replaceLayer } from './classifier.ts';

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
  const options = { stride, padding: 'same' } as const;
  if (style.norm)
    return new ConvUnit(new Conv2d(inChannels, outChannels, size, { ...options, bias: false }), outChannels, style);
  // Without BN the start must keep the variance forward: a module's reductions have a tenth as many outputs as inputs.
  const conv = new Conv2d(inChannels, outChannels, size, { ...options, initialiser: init.kaimingNormal() });
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

/** 5x5/3 average pool, 1x1 to 128, fully connected to 1024, dropout, linear (Szegedy et al. 2014, section 5). */
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

/** What the options of both networks have in common. */
export interface InceptionOptions {
  /** Default 1000. */
  readonly numClasses?: number;
  /** Default 3. */
  readonly inChannels?: number;
  /** In front of the last layer. Default 0.4 in Inception-v1, 0.2 in Inception-v2. */
  readonly dropout?: number;
  /** Heads on 4a and 4d whose losses training adds, each by 0.3. Default false. */
  readonly auxiliaryHeads?: boolean;
  /** In front of the last layer of each head. Default 0.7. */
  readonly dropoutAux?: number;
  /** Of square pictures; only auxiliary heads must know it. Default 224. */
  readonly imageSize?: number;
  /** Of the channels of every layer. Default 1. */
  readonly widthMultiplier?: number;
}

export const inceptionOptions: readonly (keyof InceptionOptions)[] = [
  ...(['numClasses', 'inChannels', 'dropout', 'auxiliaryHeads', 'dropoutAux', 'imageSize'] as const),
  'widthMultiplier',
];

/** Channels that come out of the modules that something hangs on. */
export interface Widths {
  readonly inception4a: number;
  readonly inception4d: number;
  readonly inception5b: number;
}

/** Mean over the map, dropout, logits; and on request two heads, which only training graphs have. */
export abstract class Inception extends Classifier {
  readonly headPath = 'fc';
  // Declared, not defined: addTail() makes them behind the trunk, where parameters and end points have their place.
  declare readonly avgpool: GlobalAvgPool;
  declare readonly dropout: Dropout;
  declare readonly fc: Linear;
  declare readonly aux1?: AuxiliaryHead;
  declare readonly aux2?: AuxiliaryHead;

  /** The last thing a constructor does. */
  protected addTail(widths: Widths, style: Style, options: InceptionOptions & { readonly dropout: number }): void {
    const { numClasses = 1000, dropout, auxiliaryHeads = false, dropoutAux = 0.7, imageSize = 224 } = options;
    const fc = new Linear(widths.inception5b, numClasses);
    Object.assign(this, { avgpool: new GlobalAvgPool(), dropout: new Dropout(dropout), fc });
    if (!auxiliaryHeads) return;
    const map = Math.ceil(imageSize / 16);
    if (map < 5) {
      const problem = `auxiliary heads pool 5x5 of a map of a sixteenth; pictures of ${imageSize}x${imageSize} are too small`;
      throw new ArgumentError(`${problem}: give 65x65 or more, or leave the heads out`);
    }
    const head = (inChannels: number) => new AuxiliaryHead(inChannels, numClasses, map, dropoutAux, style);
    Object.assign(this, { aux1: head(widths.inception4a), aux2: head(widths.inception4d) });
  }

  /** Logits of what the trunk gives; `a` and `d` come from 4a and 4d. */
  protected tail(y: Value, { a, d }: { readonly a: Value; readonly d: Value }): Value {
    if (y.graph.training) {
      this.aux1?.call(a);
      this.aux2?.call(d);
    }
    return this.fc.call(this.dropout.call(this.avgpool.call(y)));
  }

  override get endPoints(): string[] {
    return super.endPoints.filter((name) => !name.startsWith('aux'));
  }

  override get auxiliary(): Readonly<Record<string, number>> {
    return this.aux1 ? { aux1: 0.3, aux2: 0.3 } : {};
  }

  override replaceHead(numClasses: number): this {
    for (const head of Object.keys(this.auxiliary)) replaceLayer(this, `${head}.fc2`, numClasses);
    return super.replaceHead(numClasses);
  }
}
