// Inception-v2, "BN-Inception": Ioffe and Szegedy 2015, figure 5 of the appendix. Names of parameters in torchvision's way.
import { ArgumentError, checkOptions, type Value } from '../graph/index.ts';
import { AvgPool2d, MaxPool2d, type Module, SeparableConv2d, Sequential } from '../nn/index.ts';
import {
  type Activation,
  ConvUnit,
  convUnit,
  Inception,
  type InceptionOptions,
  inceptionOptions,
  Mixed,
  type Style,
  type Widths,
} from './inception.ts';

export interface InceptionV2Options extends InceptionOptions {
  /** The first convolution: dense (paper, default) or separable with depth multiplier 8, bias and no BN (tf-slim). */
  readonly stem?: 'dense' | 'separable';
  /** 'tfslim': projections of 96 in 4c and 4d, running statistics moved by 0.0003. Default 'paper'. */
  readonly variant?: 'paper' | 'tfslim';
  /** Default 'relu'. */
  readonly activation?: Activation;
}

interface Row {
  /** Output of the 1x1 branch; none where the module halves the map. */
  readonly one?: number;
  /** Reduction and output of the branch with one 3x3, and of that with two. */
  readonly three: readonly [number, number];
  readonly double: readonly [number, number];
  readonly pool: 'avg' | 'max';
  readonly projection?: number;
}

const rows = {
  inception3a: { one: 64, three: [64, 64], double: [64, 96], pool: 'avg', projection: 32 },
  inception3b: { one: 64, three: [64, 96], double: [64, 96], pool: 'avg', projection: 64 },
  inception3c: { three: [128, 160], double: [64, 96], pool: 'max' },
  inception4a: { one: 224, three: [64, 96], double: [96, 128], pool: 'avg', projection: 128 },
  inception4b: { one: 192, three: [96, 128], double: [96, 128], pool: 'avg', projection: 128 },
  inception4c: { one: 160, three: [128, 160], double: [128, 160], pool: 'avg', projection: 128 },
  inception4d: { one: 96, three: [128, 192], double: [160, 192], pool: 'avg', projection: 128 },
  inception4e: { three: [128, 192], double: [192, 256], pool: 'max' },
  inception5a: { one: 352, three: [192, 320], double: [160, 224], pool: 'avg', projection: 128 },
  inception5b: { one: 352, three: [192, 320], double: [192, 224], pool: 'max', projection: 128 },
} as const satisfies Record<string, Row>;

const tfslimProjections: Readonly<Record<string, number>> = { inception4c: 96, inception4d: 96 };

function inceptionModule(inChannels: number, row: Row, scale: (channels: number) => number, style: Style): Mixed {
  const { one, three, double, pool, projection } = row;
  const stride = one === undefined ? 2 : 1;
  const unit = (inputs: number, outputs: number, size: number, by = 1) =>
    convUnit(inputs, scale(outputs), size, style, by);
  const pooling = pool === 'avg' ? padded(AvgPool2d, stride, { countIncludePad: false }) : padded(MaxPool2d, stride);
  return new Mixed({
    ...(one !== undefined && { branch1: unit(inChannels, one, 1) }),
    branch2: new Sequential(unit(inChannels, three[0], 1), unit(scale(three[0]), three[1], 3, stride)),
    branch3: new Sequential(
      unit(inChannels, double[0], 1),
      unit(scale(double[0]), double[1], 3),
      unit(scale(double[1]), double[1], 3, stride),
    ),
    branch4: projection === undefined ? pooling : new Sequential(pooling, unit(inChannels, projection, 1)),
  });
}

function padded(Pool: new (size: number, options: object) => Module, stride: number, options: object = {}): Module {
  return new Pool(3, { stride, padding: 'same', ...options });
}

function widthOf({ one = 0, three, double, projection }: Row, inChannels: number, scale: (channels: number) => number) {
  const pooled = projection === undefined ? inChannels : scale(projection);
  return (one && scale(one)) + scale(three[1]) + scale(double[1]) + pooled;
}

/** 7x7/2 64, pool, 1x1 64, 3x3 192, pool, then the modules of the table, 28x28 to 7x7 for pictures of 224x224. */
export class InceptionV2 extends Inception {
  readonly conv1: ConvUnit;
  readonly maxpool1 = padded(MaxPool2d, 2);
  readonly conv2: ConvUnit;
  readonly conv3: ConvUnit;
  readonly maxpool2 = padded(MaxPool2d, 2);
  readonly inception3a: Mixed;
  readonly inception3b: Mixed;
  readonly inception3c: Mixed;
  readonly inception4a: Mixed;
  readonly inception4b: Mixed;
  readonly inception4c: Mixed;
  readonly inception4d: Mixed;
  readonly inception4e: Mixed;
  readonly inception5a: Mixed;
  readonly inception5b: Mixed;

  constructor(options: InceptionV2Options = {}) {
    super();
    const { inChannels = 3, variant = 'paper', activation = 'relu', widthMultiplier = 1 } = options;
    const scale = (channels: number) => Math.max(1, Math.round(channels * widthMultiplier));
    const style = { activation, norm: { eps: 1e-3, momentum: variant === 'tfslim' ? 0.0003 : 0.1 } };
    this.conv1 = stem(inChannels, scale(64), style, options.stem ?? 'dense');
    this.conv2 = convUnit(scale(64), scale(64), 1, style);
    this.conv3 = convUnit(scale(64), scale(192), 3, style);
    let width = scale(192);
    const widths: Partial<Record<keyof typeof rows, number>> = {};
    const next = (name: keyof typeof rows) => {
      const projection = variant === 'tfslim' ? tfslimProjections[name] : undefined;
      const row: Row = { ...rows[name], ...(projection && { projection }) };
      const module = inceptionModule(width, row, scale, style);
      width = widthOf(row, width, scale);
      widths[name] = width;
      return module;
    };
    this.inception3a = next('inception3a');
    this.inception3b = next('inception3b');
    this.inception3c = next('inception3c');
    this.inception4a = next('inception4a');
    this.inception4b = next('inception4b');
    this.inception4c = next('inception4c');
    this.inception4d = next('inception4d');
    this.inception4e = next('inception4e');
    this.inception5a = next('inception5a');
    this.inception5b = next('inception5b');
    this.addTail(widths as Widths, style, { dropout: 0.2, ...options });
  }

  override forward(x: Value): Value {
    const stem = this.conv3.call(this.conv2.call(this.maxpool1.call(this.conv1.call(x))));
    const three = this.inception3c.call(this.inception3b.call(this.inception3a.call(this.maxpool2.call(stem))));
    const a = this.inception4a.call(three);
    const d = this.inception4d.call(this.inception4c.call(this.inception4b.call(a)));
    const y = this.inception5b.call(this.inception5a.call(this.inception4e.call(d)));
    return this.tail(y, { a, d });
  }
}

/** tf-slim's separable stem has a bias and no BN. */
function stem(inChannels: number, outChannels: number, style: Style, kind: 'dense' | 'separable'): ConvUnit {
  if (kind === 'dense') return convUnit(inChannels, outChannels, 7, style, 2);
  const options = { stride: 2, padding: 'same', depthMultiplier: 8 } as const;
  return new ConvUnit(new SeparableConv2d(inChannels, outChannels, 7, options), outChannels, {
    activation: style.activation,
  });
}

const choices = {
  stem: ['dense', 'separable'],
  variant: ['paper', 'tfslim'],
  activation: ['relu', 'sigmoid'],
} as const;

export function inceptionV2(options: InceptionV2Options = {}): InceptionV2 {
  checkOptions('inceptionV2', options, [...Object.keys(choices), ...inceptionOptions]);
  for (const [name, allowed] of Object.entries(choices)) {
    const value = options[name as keyof typeof choices];
    if (value === undefined || (allowed as readonly string[]).includes(value)) continue;
    throw new ArgumentError(`inceptionV2: ${name} must be '${allowed.join("' or '")}', got ${String(value)}`);
  }
  return new InceptionV2(options);
}
