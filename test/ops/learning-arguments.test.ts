// As arguments.test.ts, for the ops of learning: losses, metrics, clipping and optimizers.
import { ArgumentError, type Graph, ShapeError } from '../../lib/graph/index.ts';
import {
  type AdamUpdateOptions,
  adamUpdate,
  clipGradNorm,
  emaUpdate,
  type LarsUpdateOptions,
  larsUpdate,
  linear,
  probabilities,
  sgdUpdate,
  softmaxCrossEntropy,
  topkCorrect,
} from '../../lib/ops/index.ts';
import { activation, type Case, describeRefused, type Make, name, plain } from './refused.ts';

const learning: Case[] = [
  [
    'classes',
    (g) => softmaxCrossEntropy(plain(g, [2, 3]), plain(g, [3], 'int32')),
    ShapeError,
    'labels must be [2], one per row of the logits, got [3]',
  ],
  [
    'labels dtype',
    (g) => softmaxCrossEntropy(plain(g, [2, 3]), plain(g, [2])),
    ShapeError,
    'labels must be int32, got float32',
  ],
  ...[-0.1, 1, Number.NaN].map((smoothing): Case => {
    const make: Make = (g) => softmaxCrossEntropy(plain(g, [2, 3]), plain(g, [2], 'int32'), { smoothing });
    return [`smoothing ${smoothing}`, make, ArgumentError, `smoothing must be from 0 to below 1, got ${smoothing}`];
  }),
  [
    'probabilities of what',
    (g) => probabilities(plain(g, [1])),
    ArgumentError,
    'is not the output of softmaxCrossEntropy()',
  ],
  [
    'k 0',
    (g) => topkCorrect(plain(g, [2, 3]), plain(g, [2], 'int32'), { k: 0 }),
    ArgumentError,
    'k must be an integer from 1',
  ],
  [
    'k over classes',
    (g) => topkCorrect(plain(g, [2, 3]), plain(g, [2], 'int32'), { k: 5 }),
    ArgumentError,
    'k must be at most the number of classes (3), got 5',
  ],
  [
    'features',
    (g) => linear(plain(g, [2, 3]), plain(g, [5, 4])),
    ShapeError,
    'linear layer1.0: input has 3 features, weight expects 4 (input [2,3], weight [5,4])',
  ],
  [
    'maps into linear',
    (g) => linear(activation(g), plain(g, [5, 4])),
    ShapeError,
    'input must be plain [N, I], got activation',
  ],
  [
    'linear bias',
    (g) => linear(plain(g, [2, 3]), plain(g, [5, 3]), { bias: plain(g, [3]) }),
    ShapeError,
    'bias must be [5]',
  ],
  [
    'maxNorm',
    (g) => clipGradNorm([plain(g, [2])], { maxNorm: Number.NaN }),
    ArgumentError,
    'maxNorm must be a number above 0, got NaN',
  ],
  [
    'no gradients',
    () => clipGradNorm([], { maxNorm: 1 }),
    ArgumentError,
    'clip_grad_norm: gradients must not be empty',
  ],
  ['gradient type', (g) => sgd(g, { gradient: [3] }), ShapeError, 'must be float32 plain [2], got float32 plain [3]'],
  [
    'no momentum buffer',
    (g) => sgd(g, { momentum: 0.9 }),
    ArgumentError,
    'got 1 parameters but 0 of their momentum buffers',
  ],
  ['nesterov alone', (g) => sgd(g, { nesterov: true }), ArgumentError, 'nesterov needs a momentum above 0'],
  ['learning rate of two', (g) => sgd(g, { rate: [2] }), ShapeError, 'learningRate must be [1], one number, got [2]'],
  ['beta1 of 1', (g) => adam(g, { beta1: 1 }), ArgumentError, 'beta1 must be from 0 to below 1, got 1'],
  ['beta2 below 0', (g) => adam(g, { beta2: -0.1 }), ArgumentError, 'beta2 must be from 0 to below 1, got -0.1'],
  [
    'epsilon',
    (g) => adam(g, { epsilon: Number.NaN }),
    ArgumentError,
    'epsilon must be a number of at least 0, got NaN',
  ],
  ['decay', (g) => adam(g, { weightDecay: -1 }), ArgumentError, 'weightDecay must be a number of at least 0, got -1'],
  ['float step', (g) => adam(g, { step: plain(g, [1]) }), ShapeError, 'adam_update layer1.0: step must be int32'],
  [
    'no second moment',
    (g) => adam(g, { secondMoments: [] }),
    ArgumentError,
    'got 1 parameters but 0 of their second moments',
  ],
  ['trust', (g) => lars(g, { trustCoefficient: 0 }), ArgumentError, 'trustCoefficient must be a number above 0, got 0'],
  ['lars momentum', (g) => lars(g, { momentum: 1 }), ArgumentError, 'momentum must be from 0 to below 1, got 1'],
  [
    'velocity type',
    (g) => lars(g, { velocities: [g.variable(name(), { shape: [3] })] }),
    ShapeError,
    'must be float32 plain [2], got float32 plain [3]',
  ],
  ['ema decay', (g) => ema(g, 1.5), ArgumentError, 'decay must be from 0 to 1, got 1.5'],
  ['ema into an input', (g) => ema(g, 0.9, plain(g, [2])), ArgumentError, 'parameter must be a variable, got input'],
];

const pair = (graph: Graph) => graph.variable(name(), { shape: [2] });

function adam(graph: Graph, options: Partial<AdamUpdateOptions>) {
  const numbers = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, decoupled: true };
  const values = { learningRate: plain(graph, [1]), step: plain(graph, [1], 'int32') };
  const moments = { firstMoments: [pair(graph)], secondMoments: [pair(graph)] };
  adamUpdate([pair(graph)], [plain(graph, [2])], { ...numbers, ...values, ...moments, ...options });
}

function lars(graph: Graph, options: Partial<LarsUpdateOptions>) {
  const rule = { momentum: 0.9, weightDecay: 0, trustCoefficient: 0.001 };
  const values = { learningRate: plain(graph, [1]), velocities: [pair(graph)] };
  larsUpdate([pair(graph)], [plain(graph, [2])], { ...rule, ...values, ...options });
}

function ema(graph: Graph, decay: number, average = pair(graph)) {
  emaUpdate([average], [plain(graph, [2])], { step: plain(graph, [1], 'int32'), decay });
}

function sgd(graph: Graph, { gradient = [2], rate = [1], momentum = 0, nesterov = false }) {
  const options = { learningRate: plain(graph, rate), momentum, nesterov, weightDecay: 0, buffers: [] };
  sgdUpdate([graph.variable(name(), { shape: [2] })], [plain(graph, gradient)], options);
}

describeRefused('learning', learning);
