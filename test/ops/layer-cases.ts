// Cases of the ops that networks beyond ResNet need; see cases.ts.
import { A, drawn, F, filterS, integers, type OpCase, type Operand, positive, S } from './operands.ts';
import { maps, type Size, single, tolerances } from './single.ts';

function activationCases(x: Size): OpCase[] {
  const X = A(...x);
  // The gradients are products and sums of integers; the functions themselves are not exact anywhere but at 0.
  const element = { tolerance: tolerances.element };
  return [
    single({ op: 'sigmoid', inputs: { x: X }, outputs: { y: X }, exact: false, ...element }),
    single({ op: 'sigmoid_grad', inputs: { dy: X, y: X }, outputs: { dx: X }, ...element }),
    single({ op: 'tanh', inputs: { x: X }, outputs: { y: X }, exact: false, ...element }),
    single({ op: 'tanh_grad', inputs: { dy: X, y: X }, outputs: { dx: X }, ...element }),
    single({ op: 'mul', inputs: { a: X, b: X }, outputs: { y: X }, ...element }),
    single({ op: 'lerp', inputs: { x: X, h: X, t: X }, outputs: { y: X }, ...element }),
    single({ op: 'lerp_grad', inputs: { dy: X, x: X, h: X, t: X }, outputs: { dx: X, dh: X, dt: X }, ...element }),
    ...[0.5, 0.2].map((p) => dropoutCase(X, p, x[1])),
  ];
}

/** The masks are equal to the last element; only the scale is rounded, or exact where p is one half. */
function dropoutCase(x: Operand, p: number, stream: number): OpCase {
  const counters = { seed: integers(-(2 ** 31), 2 ** 31 - 1, 1), step: integers(0, 1000, 1) };
  return single({
    ...{ op: 'dropout', inputs: { x, ...counters }, outputs: { y: x }, attributes: { p, stream } },
    ...{ exact: p === 0.5, tolerance: tolerances.element },
  });
}

/** Channels [inputs, between, outputs] and the window: blocks of 8 and 16 or none of each filter. */
const separables: readonly (readonly [number, number, number, number, number])[] = [
  [3, 24, 64, 7, 7],
  [1, 5, 3, 3, 2],
  [16, 32, 48, 3, 3],
  [20, 40, 8, 1, 3],
];

function separableCases([c, between, o, kh, kw]: (typeof separables)[number]): OpCase[] {
  const [w, depthwise, pointwise] = [filterS(o, c, kh, kw), filterS(between, 1, kh, kw), filterS(o, between, 1, 1)];
  const outputs = { ddepthwise: depthwise, dpointwise: pointwise };
  return [
    single({ op: 'compose_separable', inputs: { depthwise, pointwise }, outputs: { w } }),
    single({ op: 'compose_separable_grad', inputs: { dw: w, depthwise, pointwise }, outputs }),
  ];
}

/** A large range: the ends of the exponential, and the digits of small numbers. */
const wide = [1e-3, 1, 30, 200].flatMap((scale) =>
  ['sigmoid', 'tanh'].map((op) => {
    const x = { ...F(7, 37), draw: (random: { normal(): number }) => scale * random.normal() };
    const given = single({ op, inputs: { x }, outputs: { y: F(7, 37) }, exact: false, tolerance: tolerances.element });
    return { ...given, title: `${given.title} scale ${scale}` };
  }),
);

/** Channels of the inputs: whole blocks of 8 or 16, none, and whole blocks at places that are not. */
const concats: readonly {
  readonly n: number;
  readonly channels: readonly number[];
  readonly map: readonly number[];
}[] = [
  { n: 2, channels: [16, 32], map: [5, 7] },
  { n: 3, channels: [3, 5, 1], map: [3, 4] },
  { n: 2, channels: [8, 24, 16, 16], map: [7, 7] },
  { n: 1, channels: [12, 16, 4], map: [9, 5] },
  { n: 2, channels: [20, 12], map: [1, 1] },
  { n: 5, channels: [48], map: [3, 3] },
  { n: 2, channels: [64, 64, 96, 32], map: [4, 3] },
];

function concatCases({ n, channels, map }: (typeof concats)[number]): OpCase[] {
  const parts = channels.map((c) => A(n, c, ...map));
  const total = channels.reduce((sum, c) => sum + c);
  const whole = A(n, total, ...map);
  const copy = { tolerance: tolerances.copy };
  const inputs = Object.fromEntries(parts.map((part, i) => [`x${i}`, part]));
  let end = 0;
  const slices = parts.map((part) => {
    const begin = end;
    end += part.shape[1] as number;
    return single({ op: 'slice_channels', inputs: { x: whole }, outputs: { y: part }, attributes: { begin }, ...copy });
  });
  return [single({ op: 'concat', inputs, outputs: { y: whole }, ...copy }), ...slices];
}

interface Response {
  readonly x: Size;
  readonly size: number;
  readonly alpha?: number;
  readonly beta?: number;
  readonly k?: number;
}

const responses: readonly Response[] = [
  { x: [2, 16, 5, 7], size: 5 },
  { x: [1, 64, 9, 7], size: 5, alpha: 1, beta: 0.75, k: 2 },
  { x: [2, 3, 5, 5], size: 3, alpha: 0.5, beta: 0.5 },
  { x: [3, 20, 3, 3], size: 7, alpha: 2, beta: 1, k: 0.5 },
  { x: [2, 5, 3, 7], size: 11, alpha: 1 },
  { x: [2, 16, 1, 1], size: 1, alpha: 1, beta: 1.3 },
  { x: [1, 48, 8, 8], size: 65, alpha: 3, beta: 0 },
  // More than the shared memory of a GPU's block holds: of the gradient, of both, with the window's margins.
  { x: [2, 4100, 3, 3], size: 5, alpha: 1 },
  { x: [1, 12_300, 1, 2], size: 5, alpha: 1 },
  { x: [2, 4000, 1, 1], size: 121, alpha: 1 },
];

function responseCases({ x, size, alpha = 1e-4, beta = 0.75, k = 1 }: Response): OpCase[] {
  const X = A(...x);
  const rest = { attributes: { size, alpha, beta, k }, exact: false, tolerance: tolerances.sum };
  return [
    single({ op: 'local_response_norm', inputs: { x: X }, outputs: { y: X }, ...rest }),
    single({ op: 'local_response_norm_grad', inputs: { dy: X, x: X }, outputs: { dx: X }, ...rest }),
  ];
}

function softmaxCases(n: number, k: number): OpCase[] {
  const [x, y] = [F(n, k), positive(S(n, k))];
  return [
    single({ op: 'softmax', inputs: { x }, outputs: { y }, exact: false }),
    single({ op: 'softmax_grad', inputs: { dy: S(n, k), y }, outputs: { dx: x }, exact: false }),
  ];
}

function sigmoidLossCases(n: number, k: number, smoothing: number, targets: Operand): OpCase[] {
  const rest = { attributes: { smoothing }, exact: false };
  const [logits, loss] = [F(n, k), S(1)];
  return [
    single({ op: 'sigmoid_cross_entropy', inputs: { logits, targets }, outputs: { loss }, ...rest }),
    single({
      op: 'sigmoid_cross_entropy_grad',
      inputs: { dloss: loss, logits, targets },
      outputs: { dlogits: logits },
      ...rest,
    }),
  ];
}

const probabilities = (...shape: number[]) => drawn(S(...shape), (random) => random.uniform());

const sumCase = (weights: readonly number[]): OpCase =>
  single({
    op: 'weighted_sum',
    inputs: Object.fromEntries(weights.map((_, i) => [`l${i}`, S(1)])),
    outputs: { y: S(1) },
    attributes: { weights },
    exact: false,
    tolerance: tolerances.element,
  });
const many = Array.from({ length: 300 }, (_, i) => ((i % 7) - 2.5) / 4);
const sums = [
  ...[[1], [0.5, -2], [1, 0.3, 0.3]].map(sumCase),
  // Of 300 terms that cancel some are a few times the sum.
  { ...sumCase(many), title: 'weighted_sum of 300 values', tolerance: tolerances.norm },
];

export const layerCases: readonly OpCase[] = [
  ...maps.flatMap(activationCases),
  ...wide,
  ...separables.flatMap(separableCases),
  ...concats.flatMap(concatCases),
  ...responses.flatMap(responseCases),
  ...[0.5, 0.9].map((p) => dropoutCase(F(3, 1001), p, 3)),
  dropoutCase(A(2, 16, 67, 65), 0.5, 0),
  ...softmaxCases(5, 10),
  ...softmaxCases(3, 1),
  ...softmaxCases(17, 1000),
  ...sigmoidLossCases(5, 10, 0, integers(0, 9, 5)),
  ...sigmoidLossCases(17, 3, 0.1, integers(-1, 2, 17)),
  ...sigmoidLossCases(2, 1000, 0.1, probabilities(2, 1000)),
  ...sigmoidLossCases(3, 7, 0, probabilities(3, 7)),
  ...sigmoidLossCases(3, 5, 0, integers(-1, -1, 3)),
  ...sums,
];
