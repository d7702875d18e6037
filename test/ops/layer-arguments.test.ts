// As arguments.test.ts, for the ops that networks beyond ResNet need.
import { ArgumentError, ShapeError } from '../../lib/graph/index.ts';
import {
  concat,
  type DropoutOptions,
  dropout,
  type LocalResponseNormOptions,
  lerp,
  localResponseNorm,
  mul,
  sigmoid,
  sigmoidCrossEntropy,
  softmax,
  tanh,
  weightedSum,
} from '../../lib/ops/index.ts';
import { activation, type Case, describeRefused, type Make, plain } from './refused.ts';

function drop(options: Record<string, unknown>): Make {
  return (graph) => {
    const random = { seed: plain(graph, [1], 'int32'), step: plain(graph, [1], 'int32') };
    dropout(activation(graph), { p: 0.5, random, ...options } as DropoutOptions);
  };
}

function norm(options: Record<string, unknown>): Make {
  return (graph) => localResponseNorm(activation(graph), { size: 5, ...options } as LocalResponseNormOptions);
}

const elementwise: Case[] = [
  [
    'sigmoid of integers',
    (g) => sigmoid(plain(g, [2], 'int32')),
    ShapeError,
    'sigmoid layer1.0: input must be float32',
  ],
  ['tanh of integers', (g) => tanh(plain(g, [2], 'int32')), ShapeError, 'tanh layer1.0: input must be float32'],
  ['concat of nothing', () => concat([]), ArgumentError, 'concat: inputs must not be empty'],
  [
    'concat of maps of two sizes',
    (g) => concat([activation(g), activation(g, [2, 3, 8, 9])]),
    ShapeError,
    'concat layer1.0: input 1 must be [2,3,8,8], alike in all but channels, got [2,3,8,9]',
  ],
  [
    'concat of two dtypes',
    (g) => concat([activation(g), activation(g, [2, 4, 8, 8], 'float64')]),
    ShapeError,
    'concat layer1.0: input 1 must be float32, got float64',
  ],
  [
    'concat of vectors',
    (g) => concat([plain(g, [2, 4])]),
    ShapeError,
    'concat layer1.0: input 0 must be activation [N, C, H, W], got plain [2,4]',
  ],
  [
    'mul of two types',
    (g) => mul(plain(g, [2, 3]), plain(g, [2, 3], 'float64')),
    ShapeError,
    'mul layer1.0: the inputs must have one type, got float32 plain [2,3] and float64 plain [2,3]',
  ],
  [
    'lerp of two shapes',
    (g) => lerp(plain(g, [2, 3]), plain(g, [2, 3]), plain(g, [2, 1])),
    ShapeError,
    'lerp layer1.0: the inputs must have one type, got float32 plain [2,3], float32 plain [2,3], float32 plain [2,1]',
  ],
  ['softmax of maps', (g) => softmax(activation(g)), ShapeError, 'softmax layer1.0: input must be plain [N, K]'],
];

const dropping: Case[] = [
  ...[-0.1, 1, Number.NaN].map((p): Case => {
    return [`p ${p}`, drop({ p }), ArgumentError, `dropout layer1.0: p must be from 0 to below 1, got ${p}`];
  }),
  ['stream -1', drop({ stream: -1 }), ArgumentError, 'stream must be an integer from 0 to 2^31 - 1, got -1'],
  ['misspelt option', drop({ rate: 0.1 }), ArgumentError, "there is no option 'rate'"],
  [
    'a float seed',
    (g) => dropout(plain(g, [2]), { p: 0.5, random: { seed: plain(g, [1]), step: plain(g, [1], 'int32') } }),
    ShapeError,
    'seed must be int32, got float32',
  ],
  [
    'two steps',
    (g) => dropout(plain(g, [2]), { p: 0.5, random: { seed: plain(g, [1], 'int32'), step: plain(g, [2], 'int32') } }),
    ShapeError,
    'step must be [1], a counter, got [2]',
  ],
];

const response: Case[] = [
  ['an even size', norm({ size: 4 }), ArgumentError, 'local_response_norm layer1.0: size must be odd, got 4'],
  ['size 0', norm({ size: 0 }), ArgumentError, 'size must be an integer from 1 to 2^31 - 1, got 0'],
  ['k 0', norm({ k: 0 }), ArgumentError, 'k must be a number above 0, got 0'],
  ['alpha -1', norm({ alpha: -1 }), ArgumentError, 'alpha must be a number of at least 0, got -1'],
  ['beta NaN', norm({ beta: Number.NaN }), ArgumentError, 'beta must be a number of at least 0, got NaN'],
  ['misspelt option', norm({ Beta: 1 }), ArgumentError, "there is no option 'Beta'; did you mean 'beta'?"],
  [
    'vectors',
    (g) => localResponseNorm(plain(g, [2, 4]), { size: 5 }),
    ShapeError,
    'local_response_norm layer1.0: input must be activation',
  ],
];

const losses: Case[] = [
  ['no values', () => weightedSum([], []), ArgumentError, 'weighted_sum: values must not be empty'],
  [
    'a weight too few',
    (g) => weightedSum([plain(g, [1]), plain(g, [1])], [1]),
    ArgumentError,
    'weighted_sum layer1.0: weights must be 2 numbers, got [1]',
  ],
  [
    'weight NaN',
    (g) => weightedSum([plain(g, [1])], [Number.NaN]),
    ArgumentError,
    'weights[0] must be a finite number, got NaN',
  ],
  [
    'a sum of vectors',
    (g) => weightedSum([plain(g, [2])], [1]),
    ShapeError,
    'value 0 must be [1], one number, got [2]',
  ],
  [
    'labels per class',
    (g) => sigmoidCrossEntropy(plain(g, [2, 3]), plain(g, [3], 'int32')),
    ShapeError,
    'sigmoid_cross_entropy layer1.0: targets must be [2], for logits [2,3], got [3]',
  ],
  [
    'targets per row',
    (g) => sigmoidCrossEntropy(plain(g, [2, 3]), plain(g, [2])),
    ShapeError,
    'targets must be [2,3], for logits [2,3], got [2]',
  ],
  [
    'targets dtype',
    (g) => sigmoidCrossEntropy(plain(g, [2, 3]), plain(g, [2, 3], 'uint8')),
    ShapeError,
    'targets must be int32 or float32, got uint8',
  ],
  [
    'smoothing 1',
    (g) => sigmoidCrossEntropy(plain(g, [2, 3]), plain(g, [2], 'int32'), { smoothing: 1 }),
    ArgumentError,
    'smoothing must be from 0 to below 1, got 1',
  ],
];

describeRefused('elementwise', elementwise);
describeRefused('dropout', dropping);
describeRefused('local response normalisation', response);
describeRefused('losses', losses);
