// Finite differences (float64, reference device) for every differentiable op, in random configurations.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Value } from '../../lib/graph/index.ts';
import {
  add,
  avgPool2d,
  batchNorm,
  batchNormInference,
  composeSeparable,
  concat,
  conv2d,
  dropout,
  flatten,
  globalAvgPool,
  lerp,
  linear,
  localResponseNorm,
  maxPool2d,
  mul,
  relu,
  sigmoid,
  sigmoidCrossEntropy,
  softmax,
  softmaxCrossEntropy,
  subsamplePad,
  tanh,
  weightedSum,
} from '../../lib/ops/index.ts';
import { Device } from '../../lib/program.ts';
import { Random } from '../support/random.ts';
import { checkGradients, type Network, type Wanted } from './gradcheck.ts';

const configurations = 20;

let reference: Device;
beforeAll(async () => {
  reference = await Device.open('reference');
});
afterAll(() => reference.close());

type Values = Readonly<Record<string, Value>>;
type Norm = (values: Values) => Value;

const activation = (...shape: number[]): Wanted => ({ shape, format: 'activation' });
const filter = (...shape: number[]): Wanted => ({ shape, format: 'filter' });
const plain = (...shape: number[]): Wanted => ({ shape, format: 'plain' });
const positive = (wanted: Wanted): Wanted => ({ ...wanted, draw: (random) => 0.5 + random.uniform() });
const get = (values: Values, name: string) => values[name] as Value;

interface Family {
  /** What the network is made of; drawn anew for each configuration. */
  readonly network: (random: Random) => Network;
  /** Ops that the compiled step must hold, all configurations taken together. */
  readonly ops: readonly string[];
}

function convolution(random: Random): Network {
  const groups = random.pick([1, 1, 2, 3]);
  const [n, c, o] = [random.integer(1, 2), groups * random.integer(1, 2), groups * random.integer(1, 2)];
  const kernel = [random.integer(1, 3), random.integer(1, 3)] as const;
  const dilation = [random.integer(1, 2), random.integer(1, 2)];
  const size = kernel.map((k, axis) => (dilation[axis] as number) * (k - 1) + random.integer(1, 3));
  const stride = [random.integer(1, 2), random.integer(1, 2)];
  const padding = Array.from({ length: 4 }, () => random.integer(0, 2));
  const options = { stride, padding, dilation, groups };
  const shapes = { x: activation(n, c, ...size), w: filter(o, c / groups, ...kernel) };
  return {
    title: `conv2d [${[n, c, ...size]}] ${JSON.stringify(options)}`,
    inputs: random.uniform() < 0.5 ? shapes : { ...shapes, bias: plain(o) },
    build: (v) => conv2d(get(v, 'x'), get(v, 'w'), { ...options, bias: v.bias }),
  };
}

function separable(random: Random): Network {
  const [c, m, o] = [random.integer(1, 3), random.integer(1, 3), random.integer(1, 4)];
  const kernel = [random.integer(1, 3), random.integer(1, 3)] as const;
  return {
    title: `compose_separable [${[o, c, ...kernel]}] by ${m}`,
    inputs: { x: activation(2, c, 4, 5), depthwise: filter(c * m, 1, ...kernel), pointwise: filter(o, c * m, 1, 1) },
    build: (v) => conv2d(get(v, 'x'), composeSeparable(get(v, 'depthwise'), get(v, 'pointwise'), c)),
  };
}

function fullyConnected(random: Random): Network {
  const [n, i, o] = [random.integer(1, 4), random.integer(1, 6), random.integer(1, 5)];
  const shapes = { x: plain(n, i), w: plain(o, i) };
  return {
    title: `linear [${[n, i, o]}]`,
    inputs: random.uniform() < 0.5 ? shapes : { ...shapes, bias: plain(o) },
    build: (v) => linear(get(v, 'x'), get(v, 'w'), { bias: v.bias }),
  };
}

const map = (random: Random) =>
  [random.integer(2, 3), random.integer(1, 4), random.integer(1, 4), random.integer(2, 4)] as const;

function running(x: Value): { runningMean: Value; runningVar: Value } {
  const [, c] = x.shape as [number, number];
  const drawn = new Random('running');
  const values = () => Float64Array.from({ length: c }, () => 0.5 + drawn.uniform());
  return {
    runningMean: x.graph.variable('running_mean', { shape: [c], initial: values() }),
    runningVar: x.graph.variable('running_var', { shape: [c], initial: values() }),
  };
}

const operands = (v: Values) => ({ weight: get(v, 'weight'), bias: get(v, 'bias'), ...running(get(v, 'x')) });
const training: Norm = (v) => batchNorm(get(v, 'x'), operands(v));
const frozen: Norm = (v) => batchNormInference(get(v, 'x'), operands(v));

function normalisation(norm: Norm, finish: (y: Value, v: Values) => Value, residual = false, channels?: number) {
  return (random: Random): Network => {
    const [n, c, ...rest] = map(random);
    const shape = [n, channels ?? c, ...rest] as const;
    const x = activation(...shape);
    const channel = { weight: positive(plain(shape[1])), bias: plain(shape[1]) };
    return {
      title: `batch norm [${shape}]`,
      inputs: residual ? { x, residual: x, ...channel } : { x, ...channel },
      build: (v) => finish(norm(v), v),
    };
  };
}

function onMap(title: string, apply: (v: Values, random: Random) => Value, names: readonly string[] = ['x']) {
  return (random: Random): Network => {
    const shape = map(random);
    const seed = random.integer(0, 2 ** 31 - 1);
    return {
      title: `${title} [${shape}] seed ${seed}`,
      inputs: Object.fromEntries(names.map((name) => [name, activation(...shape)])),
      build: (v) => apply(v, new Random(seed)),
    };
  };
}

function pooling(pool: typeof avgPool2d | typeof maxPool2d) {
  return (random: Random): Network => {
    const kernel = [random.integer(1, 3), random.integer(1, 3)] as const;
    const size = kernel.map((k) => k + random.integer(0, 3));
    const stride = [random.integer(1, 3), random.integer(1, 3)];
    const sides = [...kernel, ...kernel].map((k) => random.integer(0, Math.floor(k / 2)));
    const options = {
      ...{ kernel, stride, padding: sides },
      ceilMode: random.uniform() < 0.5,
      ...(pool === avgPool2d && { countIncludePad: random.uniform() < 0.5 }),
    };
    const shape = [random.integer(1, 2), random.integer(1, 3), ...size];
    return {
      title: `pool [${shape}] ${JSON.stringify(options)}`,
      inputs: { x: activation(...shape) },
      build: (v) => pool(get(v, 'x'), options),
    };
  };
}

function loss(random: Random): Network {
  const [n, k] = [random.integer(1, 5), random.integer(2, 6)];
  const smoothing = random.pick([0, 0.1, 0.5]);
  const initial = Int32Array.from({ length: n }, (_, i) => (i === 0 ? 0 : random.integer(-1, k - 1)));
  return {
    title: `softmax_cross_entropy [${[n, k]}] smoothing ${smoothing} labels ${initial}`,
    inputs: { x: plain(n, k) },
    build: (v, graph) => {
      const labels = graph.variable('labels', { shape: [n], dtype: 'int32', initial });
      return softmaxCrossEntropy(get(v, 'x'), labels, { smoothing });
    },
  };
}

function dropped(x: Value, random: Random): Value {
  const counter = (name: string) =>
    x.graph.variable(name, { shape: [1], dtype: 'int32', initial: Int32Array.of(random.integer(0, 1000)) });
  const options = { seed: counter('dropout.seed'), step: counter('dropout.step') };
  return dropout(x, { p: random.pick([0, 0.3, 0.5]), random: options, stream: random.integer(0, 5) });
}

function response(random: Random) {
  const [size, beta] = [random.pick([1, 3, 5]), random.pick([0, 0.5, 0.75, 1.2])];
  return { size, alpha: random.uniform(), beta, k: 0.5 + random.uniform() };
}

function rows(apply: (x: Value) => Value) {
  return (random: Random): Network => {
    const shape = [random.integer(1, 4), random.integer(1, 6)] as const;
    return { title: `rows [${shape}]`, inputs: { x: plain(...shape) }, build: (v) => apply(get(v, 'x')) };
  };
}

/** The mean of a loss by labels and one by probabilities, which has a gradient with respect to the logits alone. */
function sigmoidLoss(random: Random): Network {
  const [n, k] = [random.integer(1, 4), random.integer(1, 4)];
  const smoothing = random.pick([0, 0.1, 0.5]);
  const classes = Int32Array.from({ length: n }, (_, i) => (i === 0 ? 0 : random.integer(-1, k - 1)));
  const probabilities = Float64Array.from({ length: n * k }, () => random.uniform());
  return {
    title: `sigmoid_cross_entropy [${[n, k]}] smoothing ${smoothing} labels ${classes}`,
    inputs: { x: plain(n, k) },
    build: (v, graph) => {
      const labels = graph.variable('labels', { shape: [n], dtype: 'int32', initial: classes });
      const targets = graph.variable('targets', { shape: [n, k], initial: probabilities });
      const losses = [labels, targets].map((target) => sigmoidCrossEntropy(get(v, 'x'), target, { smoothing }));
      return weightedSum(losses, [0.75, -0.5]);
    },
  };
}

function concatenation(random: Random): Network {
  const [n, h, w] = [random.integer(1, 2), random.integer(1, 3), random.integer(1, 3)];
  const inputs = Object.fromEntries(
    Array.from({ length: random.integer(1, 4) }, (_, i) => [`x${i}`, activation(n, random.integer(1, 3), h, w)]),
  );
  return {
    title: `concat ${Object.values(inputs).map(({ shape }) => `[${shape}]`)}`,
    inputs,
    build: (v) => concat(Object.values(v)),
  };
}

function subsample({ shape }: Value, random: Random) {
  return {
    stride: [random.integer(1, 2), random.integer(1, 3)],
    channels: (shape[1] as number) + random.integer(0, 2),
  };
}

/** A residual block: a value with several users, and every kind of fused normalisation. */
function block(v: Values): Value {
  const branch = relu(batchNorm(conv2d(get(v, 'x'), get(v, 'w'), { padding: 1 }), named(v, 'first')));
  return relu(add(batchNorm(conv2d(branch, get(v, 'w'), { padding: 1 }), named(v, 'second')), get(v, 'x')));
}

function named(v: Values, name: string) {
  const x = get(v, 'x');
  const statistic = (key: string) => x.graph.variable(`${name}.${key}`, { shape: [x.shape[1] as number] });
  return {
    weight: get(v, 'weight'),
    bias: get(v, 'bias'),
    runningMean: statistic('mean'),
    runningVar: statistic('var'),
  };
}

function residualBlock(random: Random): Network {
  const [n, c, size] = [2, random.integer(1, 3), random.integer(3, 4)];
  const channel = { weight: positive(plain(c)), bias: plain(c) };
  return {
    title: `residual block [${[n, c, size, size]}]`,
    inputs: { x: activation(n, c, size, size), w: filter(c, c, 3, 3), ...channel },
    build: block,
  };
}

const families: Readonly<Record<string, Family>> = {
  conv2d: { network: convolution, ops: ['conv2d', 'conv2d_dgrad', 'conv2d_wgrad', 'bias_grad'] },
  linear: { network: fullyConnected, ops: ['linear', 'linear_dgrad', 'linear_wgrad', 'bias_grad'] },
  'batch norm': { network: normalisation(training, (y) => y), ops: ['batch_norm', 'batch_norm_grad'] },
  'batch norm + relu': {
    network: normalisation(training, (y) => relu(y)),
    ops: ['batch_norm_relu', 'batch_norm_relu_grad'],
  },
  'batch norm + add + relu': {
    network: normalisation(training, (y, v) => relu(add(y, get(v, 'residual'))), true),
    ops: ['batch_norm_add_relu', 'batch_norm_add_relu_grad'],
  },
  'batch norm + add + relu of eight channels': {
    network: normalisation(training, (y, v) => relu(add(get(v, 'residual'), y)), true, 8),
    ops: ['batch_norm_add_relu_mask', 'batch_norm_add_relu_mask_grad'],
  },
  'frozen batch norm': {
    network: normalisation(frozen, (y) => y),
    ops: ['batch_norm_inference', 'batch_norm_inference_grad'],
  },
  'frozen batch norm + relu': {
    network: normalisation(frozen, (y) => relu(y)),
    ops: ['batch_norm_inference_relu', 'relu_grad', 'batch_norm_inference_grad'],
  },
  'frozen batch norm + add + relu': {
    network: normalisation(frozen, (y, v) => relu(add(get(v, 'residual'), y)), true),
    ops: ['batch_norm_inference_add_relu', 'relu_grad', 'batch_norm_inference_grad'],
  },
  sigmoid: { network: onMap('sigmoid', (v) => sigmoid(get(v, 'x'))), ops: ['sigmoid', 'sigmoid_grad'] },
  tanh: { network: onMap('tanh', (v) => tanh(get(v, 'x'))), ops: ['tanh', 'tanh_grad'] },
  mul: { network: onMap('mul', (v) => mul(get(v, 'a'), get(v, 'b')), ['a', 'b']), ops: ['mul'] },
  square: { network: onMap('mul', (v) => mul(get(v, 'x'), get(v, 'x'))), ops: ['mul', 'add'] },
  lerp: {
    network: onMap('lerp', (v) => lerp(get(v, 'x'), get(v, 'h'), get(v, 't')), ['x', 'h', 't']),
    ops: ['lerp', 'lerp_grad'],
  },
  dropout: { network: onMap('dropout', (v, random) => dropped(get(v, 'x'), random)), ops: ['dropout'] },
  'local response norm': {
    network: onMap('local_response_norm', (v, random) => localResponseNorm(get(v, 'x'), response(random))),
    ops: ['local_response_norm', 'local_response_norm_grad'],
  },
  softmax: { network: rows((x) => softmax(x)), ops: ['softmax', 'softmax_grad'] },
  'sigmoid cross entropy': {
    network: sigmoidLoss,
    ops: ['sigmoid_cross_entropy_grad', 'weighted_sum'],
  },
  'compose separable': { network: separable, ops: ['compose_separable', 'compose_separable_grad'] },
  concat: { network: concatenation, ops: ['concat', 'slice_channels'] },
  relu: { network: onMap('relu', (v) => relu(get(v, 'x'))), ops: ['relu', 'relu_grad'] },
  add: { network: onMap('add', (v) => add(get(v, 'a'), get(v, 'b')), ['a', 'b']), ops: ['add'] },
  'a value used three times': {
    network: onMap('x + x + relu(x)', (v) => add(add(get(v, 'x'), get(v, 'x')), relu(get(v, 'x')))),
    ops: ['add', 'relu_grad'],
  },
  'max pool': { network: pooling(maxPool2d), ops: ['max_pool2d', 'max_pool2d_grad'] },
  'average pool': { network: pooling(avgPool2d), ops: ['avg_pool2d', 'avg_pool2d_grad'] },
  'global average pool': {
    network: onMap('global_avg_pool', (v) => globalAvgPool(get(v, 'x'))),
    ops: ['global_avg_pool', 'global_avg_pool_grad'],
  },
  'subsample and pad': {
    network: onMap('subsample_pad', (v, random) => subsamplePad(get(v, 'x'), subsample(get(v, 'x'), random))),
    ops: ['subsample_pad', 'subsample_pad_grad'],
  },
  flatten: { network: onMap('flatten', (v) => flatten(get(v, 'x'))), ops: ['flatten', 'unflatten'] },
  'softmax cross entropy': { network: loss, ops: ['softmax_cross_entropy', 'softmax_cross_entropy_grad'] },
  'residual block': {
    network: residualBlock,
    ops: ['batch_norm_relu', 'batch_norm_relu_grad', 'batch_norm_add_relu', 'batch_norm_add_relu_grad'],
  },
};

describe('finite differences', () => {
  it.each(Object.entries(families))('%s', async (name, { network, ops }) => {
    const random = new Random(name);
    const used = new Set<string>();
    let checked = 0;
    for (; checked < configurations; checked++) {
      for (const op of await checkGradients(reference, network(random), random)) used.add(op);
    }
    expect(checked).toBe(configurations);
    expect([...used]).toEqual(expect.arrayContaining([...ops]));
  });
});
