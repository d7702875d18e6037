// GoogLeNet with local response normalisation and without BN (Szegedy et al. 2014, table 1): what the batch-normalisation
// paper starts from. Names of parameters in torchvision's way.
import { checkOptions, type Value } from '../graph/index.ts';
import { LocalResponseNorm, MaxPool2d, Sequential } from '../nn/index.ts';
import {
  type ConvUnit,
  convUnit,
  Inception,
  type InceptionOptions,
  inceptionOptions,
  Mixed,
  type Widths,
} from './inception.ts';

/** See InceptionOptions. */
export type InceptionV1Options = InceptionOptions;

/** 1x1; 3x3 reduction, 3x3; 5x5 reduction, 5x5; projection behind the pool. */
type Row = readonly [number, number, number, number, number, number];

const rows = {
  inception3a: [64, 96, 128, 16, 32, 32],
  inception3b: [128, 128, 192, 32, 96, 64],
  inception4a: [192, 96, 208, 16, 48, 64],
  inception4b: [160, 112, 224, 24, 64, 64],
  inception4c: [128, 128, 256, 24, 64, 64],
  inception4d: [112, 144, 288, 32, 64, 64],
  inception4e: [256, 160, 320, 32, 128, 128],
  inception5a: [256, 160, 320, 32, 128, 128],
  inception5b: [384, 192, 384, 48, 128, 128],
} as const satisfies Record<string, Row>;

const style = { activation: 'relu' } as const;

function pool(stride: number): MaxPool2d {
  return new MaxPool2d(3, { stride, padding: 'same' });
}

function norm(): LocalResponseNorm {
  return new LocalResponseNorm(5, { alpha: 1e-4, beta: 0.75, k: 1 });
}

function inceptionModule(inChannels: number, [one, three, wide3, five, wide5, projection]: Row): Mixed {
  return new Mixed({
    branch1: convUnit(inChannels, one, 1, style),
    branch2: new Sequential(convUnit(inChannels, three, 1, style), convUnit(three, wide3, 3, style)),
    branch3: new Sequential(convUnit(inChannels, five, 1, style), convUnit(five, wide5, 5, style)),
    branch4: new Sequential(pool(1), convUnit(inChannels, projection, 1, style)),
  });
}

/** 7x7/2 64, pool, LRN, 1x1 64, 3x3 192, LRN, pool, then the modules of the table with pools behind 3b and 4e. */
export class InceptionV1 extends Inception {
  readonly conv1: ConvUnit;
  readonly maxpool1 = pool(2);
  readonly norm1 = norm();
  readonly conv2: ConvUnit;
  readonly conv3: ConvUnit;
  readonly norm2 = norm();
  readonly maxpool2 = pool(2);
  readonly inception3a: Mixed;
  readonly inception3b: Mixed;
  readonly maxpool3 = pool(2);
  readonly inception4a: Mixed;
  readonly inception4b: Mixed;
  readonly inception4c: Mixed;
  readonly inception4d: Mixed;
  readonly inception4e: Mixed;
  readonly maxpool4 = pool(2);
  readonly inception5a: Mixed;
  readonly inception5b: Mixed;

  constructor(options: InceptionV1Options = {}) {
    super();
    const { inChannels = 3, widthMultiplier = 1 } = options;
    const scale = (channels: number) => Math.max(1, Math.round(channels * widthMultiplier));
    this.conv1 = convUnit(inChannels, scale(64), 7, style, 2);
    this.conv2 = convUnit(scale(64), scale(64), 1, style);
    this.conv3 = convUnit(scale(64), scale(192), 3, style);
    let width = scale(192);
    const widths: Partial<Record<keyof typeof rows, number>> = {};
    const next = (name: keyof typeof rows) => {
      const row = rows[name].map(scale) as unknown as Row;
      const module = inceptionModule(width, row);
      width = row[0] + row[2] + row[4] + row[5];
      widths[name] = width;
      return module;
    };
    this.inception3a = next('inception3a');
    this.inception3b = next('inception3b');
    this.inception4a = next('inception4a');
    this.inception4b = next('inception4b');
    this.inception4c = next('inception4c');
    this.inception4d = next('inception4d');
    this.inception4e = next('inception4e');
    this.inception5a = next('inception5a');
    this.inception5b = next('inception5b');
    this.addTail(widths as Widths, style, { dropout: 0.4, ...options });
  }

  override forward(x: Value): Value {
    const first = this.norm1.call(this.maxpool1.call(this.conv1.call(x)));
    const stem = this.maxpool2.call(this.norm2.call(this.conv3.call(this.conv2.call(first))));
    const a = this.inception4a.call(this.maxpool3.call(this.inception3b.call(this.inception3a.call(stem))));
    const d = this.inception4d.call(this.inception4c.call(this.inception4b.call(a)));
    const e = this.maxpool4.call(this.inception4e.call(d));
    const y = this.inception5b.call(this.inception5a.call(e));
    return this.tail(y, { a, d });
  }
}

export function inceptionV1(options: InceptionV1Options = {}): InceptionV1 {
  checkOptions('inceptionV1', options, inceptionOptions);
  return new InceptionV1(options);
}
