// Every op of docs/ops.md at odd sizes, as data. The same cases serve cpu-vs-reference.test.ts and anyone who times ops.
import { filterCases } from './conv-cases.ts';
import { layerCases } from './layer-cases.ts';
import { lossScaleCases } from './loss-scale-cases.ts';
import {
  A,
  bytes,
  drawn,
  F,
  filterS,
  integers,
  type OpCase,
  type Operand,
  type Operands,
  positive,
  S,
  variable,
} from './operands.ts';
import { attributeText, maps, type Single, type Size, single, tolerances } from './single.ts';
import { outputSize, same, type Window } from './windows.ts';

interface Pooling extends Window {
  readonly x: Size;
  /** Ceil mode. */
  readonly ceil?: boolean;
  /** Only for average pooling. */
  readonly countIncludePad?: boolean;
}

export const poolings: readonly Pooling[] = [
  { x: [2, 16, 9, 7], kernel: [2, 2], stride: [2, 2] },
  { x: [2, 16, 9, 7], kernel: [2, 2], stride: [2, 2], ceil: true },
  { x: [1, 3, 7, 7], kernel: [3, 3], stride: [2, 2], padding: same },
  { x: [5, 32, 8, 8], kernel: [3, 3], stride: [2, 2], padding: same, countIncludePad: true },
  { x: [2, 17, 8, 9], kernel: [3, 3], stride: [2, 2], padding: [0, 0, 1, 1] },
  { x: [2, 20, 7, 11], kernel: [3, 2], stride: [1, 3], padding: [1, 0, 0, 1], countIncludePad: true },
  { x: [1, 48, 9, 9], kernel: [3, 3], stride: [1, 1], padding: same },
  { x: [2, 5, 8, 8], kernel: [3, 3], stride: [3, 3], padding: same, ceil: true, countIncludePad: true },
  { x: [2, 16, 7, 7], kernel: [3, 3], stride: [2, 2], padding: same, ceil: true },
  { x: [1, 1, 20, 19], kernel: [17, 16], stride: [1, 2] },
  { x: [2, 16, 9, 11], kernel: [2, 2], stride: [2, 2], dilation: [2, 3] },
  { x: [2, 32, 8, 8], kernel: [8, 8], stride: [8, 8] },
  { x: [2, 16, 9, 9], kernel: [2, 2], stride: [3, 3] },
];

export function poolingCases({ x, kernel, ceil = false, countIncludePad = false, ...window }: Pooling): OpCase[] {
  const { stride = kernel, padding = [0, 0, 0, 0], dilation = [1, 1] } = window;
  const attributes = { kernel, stride, padding, dilation };
  const size = outputSize(x, { kernel, stride, padding, dilation }, ceil);
  const Y = A(x[0], x[1], ...size);
  const index: Operand = { ...Y, kind: kernel[0] * kernel[1] <= 256 ? 'uint8' : 'int32' };
  const max = { op: 'max_pool2d', inputs: ['x'], outputs: { y: Y, index }, attributes };
  const maxGrad = { op: 'max_pool2d_grad', inputs: ['dy', 'index'], outputs: { dx: A(...x) }, attributes };
  const average = { ...attributes, count_include_pad: countIncludePad };
  const title = `max_pool2d and its gradient [${x.join(',')}] ${attributeText(attributes)}${ceil ? ' ceil' : ''}`;
  return [
    { title, inputs: { x: A(...x), dy: Y }, nodes: [max, maxGrad], exact: true, tolerance: tolerances.sum },
    single({ op: 'avg_pool2d', inputs: { x: A(...x) }, outputs: { y: Y }, attributes: average, exact: false }),
    single({ op: 'avg_pool2d_grad', inputs: { dy: Y }, outputs: { dx: A(...x) }, attributes: average, exact: false }),
  ];
}

export function normCases(x: Size): OpCase[] {
  const c = S(x[1]);
  const channel = { weight: positive(c), bias: c };
  const saved = { mean: drawn(c, (random) => random.normal() / 8), invstd: positive(c) };
  const running = { running_mean: variable(c), running_var: variable(positive(c)) };
  const fixed = { running_mean: c, running_var: positive(c) };
  const values = x[0] * x[2] * x[3];
  const total = drawn(c, (random) => Math.sqrt(values) * random.normal());
  const sums = {
    sum: drawn(c, (random) => (values * random.normal()) / 8),
    square_sum: drawn(c, (random) => values * (1 + random.uniform())),
  };
  const [X, residual, dy, y] = [A(...x), A(...x), A(...x), A(...x)];
  const parameters = { dweight: c, dbias: c };
  const training = { outputs: { y: X, mean: c, invstd: c, ...running }, attributes: { epsilon: 1e-5, momentum: 0.1 } };
  const mask: Operand = { ...bytes(x[0], x[1] / 8, x[2], x[3]), format: 'activation' };
  const masked = { outputs: { ...training.outputs, mask }, attributes: training.attributes };
  const inference = { outputs: { y: X }, attributes: { epsilon: 1e-3 } };
  const cases: readonly Single[] = [
    { op: 'batch_norm', inputs: { x: X, ...channel }, ...training },
    { op: 'batch_norm_relu', inputs: { x: X, ...channel }, ...training },
    { op: 'batch_norm_add_relu', inputs: { x: X, residual, ...channel }, ...training },
    { op: 'batch_norm_summed', inputs: { x: X, ...channel, ...sums }, ...training },
    { op: 'batch_norm_summed_relu', inputs: { x: X, ...channel, ...sums }, ...training },
    { op: 'batch_norm_summed_add_relu', inputs: { x: X, residual, ...channel, ...sums }, ...training },
    { op: 'batch_norm_grad', inputs: { dy, x: X, weight: c, ...saved }, outputs: { dx: X, ...parameters } },
    { op: 'batch_norm_relu_grad', inputs: { dy, x: X, ...channel, ...saved }, outputs: { dx: X, ...parameters } },
    {
      op: 'batch_norm_add_relu_grad',
      inputs: { dy, x: X, y, weight: c, ...saved },
      outputs: { dx: X, dresidual: X, ...parameters },
    },
    {
      op: 'batch_norm_finish',
      inputs: { x: X, ...channel, ...sums },
      outputs: { mean: c, invstd: c, ...running, scale: F(x[1]), shift: F(x[1]) },
      attributes: training.attributes,
    },
    {
      op: 'batch_norm_summed_grad',
      inputs: { dy, x: X, weight: c, ...saved, dweight: total, dbias: total },
      outputs: { dx: X },
    },
    { op: 'batch_norm_inference', inputs: { x: X, ...channel, ...fixed }, ...inference },
    { op: 'batch_norm_inference_relu', inputs: { x: X, ...channel, ...fixed }, ...inference },
    { op: 'batch_norm_inference_add_relu', inputs: { x: X, residual, ...channel, ...fixed }, ...inference },
    {
      op: 'batch_norm_inference_grad',
      inputs: { dy, x: X, weight: c, ...fixed },
      outputs: { dx: X, ...parameters },
      attributes: inference.attributes,
    },
  ];
  const ofMasks: readonly Single[] = [
    { op: 'batch_norm_add_relu_mask', inputs: { x: X, residual, ...channel }, ...masked },
    { op: 'batch_norm_summed_add_relu_mask', inputs: { x: X, residual, ...channel, ...sums }, ...masked },
    {
      op: 'batch_norm_add_relu_mask_grad',
      inputs: { dy, x: X, mask, weight: c, ...saved },
      outputs: { dx: X, dresidual: X, ...parameters },
    },
  ];
  const all = x[1] % 8 === 0 ? [...cases, ...ofMasks] : cases;
  return all.map((given) => single({ ...given, exact: false, tolerance: tolerances.norm }));
}

/** Behind an overflow a sum is not a number: nor is anything of its channel, running statistics included. */
function overflowCases(): OpCase[] {
  const [X, c] = [A(1, 1, 2, 2), S(1)];
  const lost = drawn(c, () => Number.NaN);
  const inputs = { x: X, weight: positive(c), bias: c, sum: lost, square_sum: lost };
  const kept = { mean: c, invstd: c, running_mean: variable(c), running_var: variable(positive(c)) };
  const rest = { inputs, attributes: { epsilon: 1e-5, momentum: 0.1 }, exact: false };
  return [
    single({ op: 'batch_norm_summed', outputs: { y: X, ...kept }, ...rest }),
    single({ op: 'batch_norm_summed_relu', outputs: { y: X, ...kept }, ...rest }),
    single({ op: 'batch_norm_finish', outputs: { ...kept, scale: F(1), shift: F(1) }, ...rest }),
  ];
}

function mapCases(x: Size): OpCase[] {
  const [n, c, h, w] = x;
  const X = A(...x);
  const flat = F(n, c * h * w);
  const pooled = F(n, c);
  return [
    single({ op: 'relu', inputs: { x: X }, outputs: { y: X }, tolerance: tolerances.copy }),
    single({ op: 'relu_grad', inputs: { dy: X, y: X }, outputs: { dx: X }, tolerance: tolerances.copy }),
    single({ op: 'add', inputs: { a: X, b: X }, outputs: { y: X }, tolerance: tolerances.element }),
    single({ op: 'bias_grad', inputs: { dy: X }, outputs: { db: S(c) } }),
    single({ op: 'global_avg_pool', inputs: { x: X }, outputs: { y: pooled }, exact: false }),
    single({ op: 'global_avg_pool_grad', inputs: { dy: pooled }, outputs: { dx: X }, exact: false }),
    single({ op: 'flatten', inputs: { x: X }, outputs: { y: flat }, tolerance: tolerances.copy }),
    single({ op: 'unflatten', inputs: { y: flat }, outputs: { x: X }, tolerance: tolerances.copy }),
    single({ op: 'cast', inputs: { x: { ...X, kind: 'S' } }, outputs: { y: X }, tolerance: tolerances.copy }),
    single({ op: 'cast', inputs: { x: X }, outputs: { y: { ...X, kind: 'S' } }, tolerance: tolerances.copy }),
    single({ op: 'fill', inputs: {}, outputs: { y: X }, attributes: { value: -1.5 }, tolerance: tolerances.copy }),
  ];
}

function subsampleCases([n, c, h, w]: Size, channels: number, stride: readonly [number, number]): OpCase[] {
  const [X, Y] = [A(n, c, h, w), A(n, channels, Math.ceil(h / stride[0]), Math.ceil(w / stride[1]))];
  const rest = { attributes: { stride }, tolerance: tolerances.copy };
  return [
    single({ op: 'subsample_pad', inputs: { x: X }, outputs: { y: Y }, ...rest }),
    single({ op: 'subsample_pad_grad', inputs: { dy: Y }, outputs: { dx: X }, ...rest }),
  ];
}

function linearCases(n: number, inputs: number, outputs: number): OpCase[] {
  const [x, w, y] = [F(n, inputs), F(outputs, inputs), F(n, outputs)];
  return [
    single({ op: 'linear', inputs: { x, w }, outputs: { y } }),
    single({ op: 'linear', inputs: { x, w, bias: S(outputs) }, outputs: { y } }),
    single({ op: 'linear_dgrad', inputs: { dy: y, w }, outputs: { dx: x } }),
    single({ op: 'cast', inputs: { w: S(outputs, inputs) }, outputs: { y: w }, tolerance: tolerances.copy }),
    single({ op: 'linear_wgrad', inputs: { x, dy: y }, outputs: { dw: S(outputs, inputs) } }),
    single({ op: 'bias_grad', inputs: { dy: y }, outputs: { db: S(outputs) } }),
    single({ op: 'relu', inputs: { x }, outputs: { y: x }, tolerance: tolerances.copy }),
  ];
}

function lossCases(n: number, k: number, smoothing: number, labels: Operand): OpCase[] {
  const logits = F(n, k);
  const probabilities = drawn(S(n, k), (random) => random.uniform());
  const rest = { attributes: { smoothing }, exact: false };
  return [
    single({
      op: 'softmax_cross_entropy',
      inputs: { logits, labels },
      outputs: { loss: S(1), probabilities },
      ...rest,
    }),
    single({
      op: 'softmax_cross_entropy_grad',
      inputs: { dloss: S(1), probabilities, labels },
      outputs: { dlogits: logits },
      ...rest,
    }),
  ];
}

const topk = (n: number, classes: number, k: number) =>
  single({
    op: 'topk_correct',
    inputs: { logits: F(n, classes), labels: integers(-1, classes - 1, n) },
    outputs: { count: integers(0, 0, 1) },
    attributes: { k },
    tolerance: tolerances.copy,
  });

const metricCases: readonly OpCase[] = [
  topk(5, 10, 1),
  topk(17, 10, 5),
  topk(3, 3, 3),
  topk(33, 100, 5),
  single({
    op: 'ring_write',
    inputs: { value: S(1), step: integers(0, 100, 1) },
    outputs: { ring: variable(S(7)) },
    tolerance: tolerances.copy,
  }),
  single({
    op: 'increment',
    inputs: {},
    outputs: { counter: variable(integers(0, 9, 1)) },
    attributes: { by: 3 },
    tolerance: tolerances.copy,
  }),
];

const gatherCases: readonly OpCase[] = [bytes(7, 5, 3, 3), bytes(4, 1, 1, 1), S(9, 5), integers(-5, 5, 6)].map(
  (table) => {
    const [rows = 1, ...rest] = table.shape;
    const outputs = { y: { ...table, shape: [5, ...rest] } };
    const index = integers(0, rows - 1, 5);
    return single({ op: 'gather', inputs: { table, index }, outputs, tolerance: tolerances.copy });
  },
);

interface Augmentation {
  readonly images: Size;
  readonly size: readonly [number, number];
  readonly padding: number;
  readonly flip: boolean;
}

const augmentations: readonly Augmentation[] = [
  { images: [5, 32, 32, 3], size: [32, 32], padding: 4, flip: true },
  { images: [3, 9, 7, 1], size: [5, 7], padding: 2, flip: false },
  { images: [2, 8, 8, 3], size: [8, 8], padding: 0, flip: true },
  { images: [2, 7, 9, 17], size: [3, 5], padding: 0, flip: false },
];

function augmentCases({ images, size, padding, flip }: Augmentation): OpCase[] {
  const channels = Array.from({ length: images[3] }, (_, i) => i);
  const mean = channels.map((i) => 0.4 + 0.02 * i);
  const std = channels.map((i) => 0.2 + 0.01 * i);
  const outputs = { y: A(images[0], images[3], ...size) };
  const rest = { op: 'augment', outputs, exact: false, tolerance: tolerances.element };
  const random = { seed: integers(0, 2 ** 31 - 1, 1), step: integers(0, 1000, 1) };
  return [
    single({ ...rest, inputs: { images: bytes(...images), ...random }, attributes: { padding, flip, mean, std } }),
    single({ ...rest, inputs: { images: bytes(...images) }, attributes: { padding, flip: false, mean, std } }),
  ];
}

const gradients: Operands = { g0: filterS(16, 16, 3, 3), g1: S(17), g2: filterS(5, 3, 1, 1), g3: S(10, 20) };
const weights = Object.fromEntries(Object.values(gradients).map((given, i) => [`w${i}`, variable(given)]));
const momenta = Object.fromEntries(Object.values(gradients).map((given, i) => [`m${i}`, variable(given)]));

function sgdCase(momentum: number, nesterov: boolean, weight_decay: number, scaled: boolean): OpCase {
  const inputs = { learning_rate: positive(S(1)), ...(scaled && { scale: positive(S(1)) }), ...gradients };
  const outputs = { ...weights, ...(momentum > 0 && momenta) };
  const attributes = { momentum, nesterov, weight_decay, scaled };
  return single({ op: 'sgd_update', inputs, outputs, attributes, exact: false, tolerance: tolerances.element });
}

function adamCase(decoupled: boolean, weight_decay: number, scaled: boolean, step: number): OpCase {
  const inputs = {
    ...{ learning_rate: positive(S(1)), step: integers(step, step, 1) },
    ...(scaled && { scale: positive(S(1)) }),
    ...gradients,
  };
  const squares = Object.fromEntries(Object.values(gradients).map((given, i) => [`v${i}`, positive(variable(given))]));
  const attributes = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay, decoupled, scaled };
  const outputs = { ...weights, ...momenta, ...squares };
  return single({ op: 'adam_update', inputs, outputs, attributes, exact: false, tolerance: tolerances.element });
}

/** `drawnGradients`: of the types of `given`, with other numbers. */
function larsCase(momentum: number, weight_decay: number, scaled: boolean, given = gradients, drawnGradients = given) {
  const inputs = { learning_rate: positive(S(1)), ...(scaled && { scale: positive(S(1)) }), ...drawnGradients };
  const attributes = { momentum, weight_decay, trust: 0.02, scaled };
  const values = Object.values(given).map(variable);
  const outputs = Object.fromEntries(['w', 'v'].flatMap((name) => values.map((value, i) => [`${name}${i}`, value])));
  return single({ op: 'lars_update', inputs, outputs, attributes, exact: false, tolerance: tolerances.element });
}

const noGradients = Object.fromEntries(Object.entries(gradients).map(([name, given]) => [name, drawn(given, () => 0)]));

const emaCases = [0, 1, 7].map((step) =>
  single({
    op: 'ema_update',
    inputs: { step: integers(step, step, 1), ...gradients },
    outputs: weights,
    attributes: { decay: 0.75 },
    tolerance: tolerances.element,
  }),
);

const clipCases = [0.5, 1e6].map((max_norm) =>
  single({
    op: 'clip_grad_norm',
    inputs: gradients,
    outputs: { norm: S(1), scale: S(1) },
    attributes: { max_norm },
    exact: false,
  }),
);

export const cases: readonly OpCase[] = [
  ...filterCases,
  ...poolings.flatMap(poolingCases),
  ...maps.flatMap(normCases),
  ...overflowCases(),
  ...maps.flatMap(mapCases),
  ...subsampleCases([2, 16, 9, 7], 32, [2, 2]),
  ...subsampleCases([5, 3, 5, 5], 17, [1, 2]),
  ...subsampleCases([1, 16, 8, 8], 16, [2, 2]),
  ...subsampleCases([2, 20, 7, 3], 48, [3, 1]),
  ...linearCases(5, 17, 3),
  ...linearCases(1, 64, 10),
  ...linearCases(33, 48, 100),
  ...linearCases(2, 1, 1),
  ...lossCases(5, 10, 0, integers(0, 9, 5)),
  ...lossCases(17, 3, 0.1, integers(-1, 2, 17)),
  ...lossCases(2, 1000, 0.1, integers(0, 999, 2)),
  ...lossCases(3, 5, 0, integers(-1, -1, 3)),
  ...metricCases,
  ...gatherCases,
  ...augmentations.flatMap(augmentCases),
  sgdCase(0.9, true, 5e-4, false),
  sgdCase(0.9, false, 0, true),
  sgdCase(0, false, 1e-2, false),
  sgdCase(0.5, true, 0.1, true),
  adamCase(false, 0, false, 0),
  adamCase(false, 0.1, true, 3),
  adamCase(true, 0.1, false, 1000),
  adamCase(true, 0, true, 2 ** 30),
  larsCase(0.9, 1e-2, false),
  larsCase(0, 0, true),
  larsCase(0.5, 0.1, false, gradients, noGradients),
  larsCase(0.9, 1e-4, true, { g0: S(17), g1: S(97, 101), g2: filterS(5, 3, 1, 1) }),
  ...emaCases,
  ...clipCases,
  ...lossScaleCases,
  ...layerCases,
];
