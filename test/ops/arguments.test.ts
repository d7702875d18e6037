// Every bad argument is refused before anything is built, by a typed error that names op, layer path, argument and value.
import { ArgumentError, Graph, ShapeError } from '../../lib/graph/index.ts';
import {
  add,
  augment,
  avgPool2d,
  type BatchNormOptions,
  batchNorm,
  batchNormInference,
  type Conv2dOptions,
  conv2d,
  fill,
  flatten,
  gather,
  globalAvgPool,
  increment,
  maxPool2d,
  type PoolOptions,
  relu,
  ringWrite,
  subsamplePad,
} from '../../lib/ops/index.ts';
import { activation, type Case, describeRefused, filter, type Make, name, plain } from './refused.ts';

const integer = 'must be an integer from 1 to 2^31 - 1, or [h, w] of them';
const paddings = "must be an integer from 0 to 2^31 - 1, [h, w], [top, left, bottom, right], 'same' or 'fixed'";

function conv(options: Record<string, unknown>): Make {
  return (graph) => conv2d(activation(graph), filter(graph), options as Conv2dOptions);
}

function convOf(x: readonly number[], w: readonly number[], options: Conv2dOptions = {}): Make {
  return (graph) => conv2d(activation(graph, x), filter(graph, w), options);
}

function pool(options: Record<string, unknown>, shape?: readonly number[]): Make {
  return (graph) => maxPool2d(activation(graph, shape), options as unknown as PoolOptions);
}

function norm(
  options: Record<string, unknown> = {},
  sizes: Record<string, number> = {},
  shape?: readonly number[],
): Make {
  return (graph) => {
    const one = (key: string) => graph.variable(name(), { shape: [sizes[key] ?? 4] });
    const operands = {
      weight: one('weight'),
      bias: one('bias'),
      runningMean: one('runningMean'),
      runningVar: one('runningVar'),
    };
    batchNorm(activation(graph, shape), { ...operands, ...options } as BatchNormOptions);
  };
}

const badSizes: [unknown, string][] = [
  [0, '0'],
  [-1, '-1'],
  [1.5, '1.5'],
  [Number.NaN, 'NaN'],
  [Number.POSITIVE_INFINITY, 'Infinity'],
  [2 ** 31, '2147483648'],
  [2 ** 53 + 2, '9007199254740994'],
  ['2', '"2"'],
  [[1, 2, 3], '[1, 2, 3]'],
  [[1, 0], '[1, 0]'],
  [null, 'null'],
];

const convolution: Case[] = [
  [
    'misspelt option',
    conv({ strides: 2 }),
    ArgumentError,
    "conv2d layer1.0: there is no option 'strides'; did you mean 'stride'?",
  ],
  ...badSizes
    .filter(([value]) => value !== null)
    .flatMap(([value, text]): Case[] => [
      [`stride ${text}`, conv({ stride: value }), ArgumentError, `conv2d layer1.0: stride ${integer}, got ${text}`],
      [
        `dilation ${text}`,
        conv({ dilation: value }),
        ArgumentError,
        `conv2d layer1.0: dilation ${integer}, got ${text}`,
      ],
    ]),
  ...[-1, 2 ** 31, 1.5, Number.NaN].map((value): Case => {
    return [
      `padding ${value}`,
      conv({ padding: value }),
      ArgumentError,
      `conv2d layer1.0: padding ${paddings}, got ${value}`,
    ];
  }),
  ['padding of a name', conv({ padding: 'valid' }), ArgumentError, `padding ${paddings}, got "valid"`],
  ['padding of three', conv({ padding: [1, 1, 1] }), ArgumentError, `padding ${paddings}, got [1, 1, 1]`],
  [
    'kernel over padded input',
    convOf([2, 4, 5, 5], [6, 4, 3, 3], { dilation: 4, padding: 1 }),
    ShapeError,
    'the window covers 9 of the height, the padded input has only 5 + 1 + 1',
  ],
  ['groups 0', conv({ groups: 0 }), ArgumentError, 'groups must be an integer from 1 to 2^31 - 1, got 0'],
  ['groups -1', conv({ groups: -1 }), ArgumentError, 'groups must be an integer from 1 to 2^31 - 1, got -1'],
  ['C % groups', conv({ groups: 3 }), ShapeError, "groups=3 does not divide the input's 4 channels"],
  [
    'O % groups',
    convOf([2, 4, 8, 8], [6, 1, 3, 3], { groups: 4 }),
    ShapeError,
    'groups=4 does not divide the 6 output channels',
  ],
  [
    'channels',
    convOf([64, 128, 14, 14], [256, 256, 3, 3]),
    ShapeError,
    'conv2d layer1.0: input has 128 channels, weight expects 256 (input [64,128,14,14], weight [256,256,3,3])',
  ],
  [
    'channels per group',
    convOf([2, 4, 8, 8], [6, 4, 3, 3], { groups: 2 }),
    ShapeError,
    'input has 4 channels, weight expects 8 (4 in each of 2 groups)',
  ],
  [
    'filter of rank 3',
    (g) => conv2d(activation(g), plain(g, [6, 4, 3])),
    ShapeError,
    'weight must be filter [O, I / groups, kh, kw], got plain [6,4,3]',
  ],
  ['filter of rank 5', (g) => filter(g, [6, 4, 3, 3, 3]), ShapeError, "a value of format 'filter' has 4 axes, got 5"],
  ['filter size 0', (g) => filter(g, [6, 4, 0, 3]), ShapeError, 'every size of a shape is a positive integer, got 0'],
  [
    'no output channels',
    (g) => filter(g, [0, 4, 3, 3]),
    ShapeError,
    'every size of a shape is a positive integer, got 0',
  ],
  [
    'bias length',
    (g) => conv2d(activation(g), filter(g), { bias: plain(g, [5]) }),
    ShapeError,
    'bias must be [6], one number per output channel, got [5]',
  ],
  [
    'bias dtype',
    (g) => conv2d(activation(g), filter(g), { bias: plain(g, [6], 'int32') }),
    ShapeError,
    'bias must be float32, got int32',
  ],
  [
    'dtypes differ',
    (g) => conv2d(activation(g), filter(g, [6, 4, 3, 3], 'float64')),
    ShapeError,
    'weight must be float32, got float64',
  ],
  [
    'integers',
    (g) => conv2d(activation(g, [2, 4, 8, 8], 'int32'), filter(g)),
    ShapeError,
    'input must be float32 or float64 or bfloat16 or float16, got int32',
  ],
  ['two graphs', (g) => conv2d(activation(g), filter(new Graph())), ArgumentError, 'belongs to another graph'],
  [
    'format',
    (g) => conv2d(plain(g, [2, 4, 8, 8]), filter(g)),
    ShapeError,
    'input must be activation [N, C, H, W], got plain [2,4,8,8]',
  ],
  [
    'elements',
    convOf([4096, 1, 64, 64], [256, 1, 1, 1]),
    ShapeError,
    '[4096,256,64,64] has 4294967296 elements, more than 2^31 - 1',
  ],
  [
    'negative size',
    (g) => activation(g, [2, -4, 8, 8]),
    ShapeError,
    'every size of a shape is a positive integer, got -4',
  ],
];

const pooling: Case[] = [
  ...badSizes.map(([value, text]): Case => {
    return [
      `kernel ${text}`,
      pool({ kernel: value }),
      ArgumentError,
      `max_pool2d layer1.0: kernel ${integer}, got ${text}`,
    ];
  }),
  [
    'padding over k / 2',
    pool({ kernel: 3, padding: 2 }),
    ArgumentError,
    'padding must be at most half the window (1), got 2',
  ],
  [
    'padding on one side',
    pool({ kernel: 2, padding: [0, 0, 2, 0] }),
    ArgumentError,
    'padding must be at most half the window (1), got 2',
  ],
  [
    'no output',
    pool({ kernel: 9 }),
    ShapeError,
    'the window covers 9 of the height, the padded input has only 8 + 0 + 0',
  ],
  [
    'only padding',
    pool({ kernel: 2, dilation: 3, padding: 2 }, [1, 1, 1, 1]),
    ShapeError,
    'a window holds nothing but padding',
  ],
  ['ceilMode', pool({ kernel: 2, ceilMode: 1 }), ArgumentError, 'ceilMode must be true or false, got 1'],
  [
    'countIncludePad',
    (g) => avgPool2d(activation(g), { kernel: 2, countIncludePad: 'yes' as unknown as boolean }),
    ArgumentError,
    'avg_pool2d layer1.0: countIncludePad must be true or false, got "yes"',
  ],
  ['empty maps', (g) => activation(g, [2, 4, 0, 8]), ShapeError, 'every size of a shape is a positive integer, got 0'],
  ['vectors', (g) => globalAvgPool(plain(g, [2, 4])), ShapeError, 'global_avg_pool layer1.0: input must be activation'],
];

const normalisation: Case[] = [
  ...['weight', 'bias', 'runningMean', 'runningVar'].map((key): Case => {
    const text = `batch_norm layer1.0: ${key} must be [4], one number per channel of the input [2,4,8,8], got [3]`;
    return [`${key} length`, norm({}, { [key]: 3 }), ShapeError, text];
  }),
  ...[0, -1e-5, Number.NaN].map((epsilon): Case => {
    return [`epsilon ${epsilon}`, norm({ epsilon }), ArgumentError, `epsilon must be a number above 0, got ${epsilon}`];
  }),
  ...[-0.1, 1.1, Number.NaN, '0.1'].map((momentum): Case => {
    const text = typeof momentum === 'string' ? `"${momentum}"` : momentum;
    return [`momentum ${text}`, norm({ momentum }), ArgumentError, `momentum must be from 0 to 1, got ${text}`];
  }),
  [
    'one value per channel',
    norm({}, {}, [1, 4, 1, 1]),
    ShapeError,
    'training needs more than one value per channel, got input [1,4,1,1]',
  ],
  [
    'statistics that cannot be updated',
    (g) => {
      const one = () => g.variable(name(), { shape: [4] });
      batchNorm(activation(g), { weight: one(), bias: one(), runningMean: plain(g, [4]), runningVar: one() });
    },
    ArgumentError,
    'runningMean must be a variable, got input',
  ],
  [
    'inference',
    (g) => {
      const one = (c = 4) => plain(g, [c]);
      batchNormInference(activation(g), { weight: one(), bias: one(), runningMean: one(), runningVar: one(5) });
    },
    ShapeError,
    'batch_norm_inference layer1.0: runningVar must be [4]',
  ],
];

const images = (g: Graph, shape: readonly number[] = [2, 8, 8, 3]) => plain(g, shape, 'uint8');
const white = { mean: [0, 0, 0], std: [1, 1, 1] };

const rest: Case[] = [
  [
    'add of two types',
    (g) => add(activation(g), activation(g, [2, 4, 8, 9])),
    ShapeError,
    'the inputs must have one type, got float32 activation [2,4,8,8] and float32 activation [2,4,8,9]',
  ],
  ['relu of integers', (g) => relu(plain(g, [2], 'int32')), ShapeError, 'relu layer1.0: input must be float32'],
  ['flatten of a matrix', (g) => flatten(plain(g, [2, 3])), ShapeError, 'flatten layer1.0: input must be activation'],
  [
    'fewer channels',
    (g) => subsamplePad(activation(g), { stride: 2, channels: 3 }),
    ShapeError,
    "channels=3 is less than the input's 4",
  ],
  [
    'fill NaN',
    (g) => fill(g, { shape: [1], dtype: 'float32', format: 'plain' }, Number.NaN),
    ArgumentError,
    'value must be a finite number, got NaN',
  ],
  ['float images', (g) => augment(plain(g, [2, 8, 8, 3]), white), ShapeError, 'images must be uint8, got float32'],
  [
    'std 0',
    (g) => augment(images(g), { mean: [0, 0, 0], std: [1, 0, 1] }),
    ArgumentError,
    'std[1] must be a number above 0, got 0',
  ],
  [
    'mean of two',
    (g) => augment(images(g), { mean: [0, 0], std: [1, 1, 1] }),
    ArgumentError,
    'mean must be 3 numbers, got [0, 0]',
  ],
  [
    'crop too large',
    (g) => augment(images(g), { ...white, size: 13, padding: 2 }),
    ShapeError,
    'size [13, 13] is larger than the images [8, 8] with padding 2',
  ],
  [
    'flip without random',
    (g) => augment(images(g), { ...white, flip: true }),
    ArgumentError,
    'flip needs random: { seed, step }',
  ],
  ['float index', (g) => gather(plain(g, [9, 2]), plain(g, [3])), ShapeError, 'index must be int32, got float32'],
  [
    'ring dtype',
    (g) => ringWrite(plain(g, [1]), plain(g, [1], 'int32'), g.variable(name(), { shape: [9], dtype: 'int32' })),
    ShapeError,
    'ring must be float32, got int32',
  ],
  [
    'ring of none',
    (g) => ringWrite(plain(g, [1]), plain(g, [1], 'int32'), plain(g, [9])),
    ArgumentError,
    'ring must be a variable',
  ],
  [
    'increment by half',
    (g) => increment(g.variable(name(), { shape: [1], dtype: 'int32' }), 0.5),
    ArgumentError,
    'by must be an integer, got 0.5',
  ],
];

describeRefused('convolution', convolution);
describeRefused('pooling', pooling);
describeRefused('normalisation', normalisation);
describeRefused('the rest', rest);
