// Convolutions at odd sizes: forward, backward, fused with what follows, with normalisation folded into their weights.
import type { Attributes } from '../../lib/graph/index.ts';
import { A, drawn, F, filterS, type OpCase, type Operand, positive, S, W } from './operands.ts';
import { type Single, type Size, single, tolerances } from './single.ts';
import { outputSize, same, type Window } from './windows.ts';

interface Convolution extends Window {
  readonly x: Size;
  readonly o: number;
  readonly groups?: number;
  readonly bias?: boolean;
}

export const convolutions: readonly Convolution[] = [
  { x: [2, 3, 9, 7], o: 16, kernel: [3, 3], padding: same, bias: true },
  { x: [1, 1, 5, 5], o: 1, kernel: [1, 1] },
  { x: [5, 5, 7, 9], o: 17, kernel: [3, 3], stride: [2, 2], padding: same },
  { x: [2, 16, 9, 9], o: 16, kernel: [3, 3], padding: same, bias: true },
  { x: [1, 16, 7, 5], o: 32, kernel: [3, 3], stride: [2, 2], padding: same },
  { x: [2, 32, 9, 11], o: 32, kernel: [3, 3], padding: same },
  { x: [5, 64, 8, 8], o: 64, kernel: [3, 3], padding: same },
  { x: [2, 48, 13, 13], o: 48, kernel: [3, 3], padding: same },
  { x: [1, 32, 16, 15], o: 16, kernel: [3, 3], padding: [0, 1, 1, 0] },
  { x: [2, 16, 3, 3], o: 16, kernel: [3, 3] },
  { x: [5, 16, 1, 1], o: 16, kernel: [3, 3], padding: same },
  { x: [2, 20, 7, 7], o: 48, kernel: [1, 1], bias: true },
  { x: [1, 48, 5, 5], o: 20, kernel: [1, 1], stride: [2, 2] },
  { x: [2, 16, 10, 9], o: 16, kernel: [1, 1], stride: [3, 3] },
  { x: [2, 5, 9, 9], o: 3, kernel: [2, 2], stride: [3, 3] },
  { x: [2, 17, 8, 9], o: 5, kernel: [3, 5], padding: [0, 1, 2, 3] },
  { x: [2, 32, 9, 7], o: 16, kernel: [3, 3], stride: [2, 1], padding: [2, 0, 0, 1] },
  { x: [1, 16, 11, 9], o: 16, kernel: [3, 3], padding: [2, 2, 2, 2], dilation: [2, 2] },
  { x: [2, 3, 11, 13], o: 20, kernel: [3, 2], padding: [3, 1, 2, 0], dilation: [3, 1], stride: [1, 2] },
  { x: [2, 3, 15, 13], o: 20, kernel: [7, 7], stride: [2, 2], padding: [3, 3, 3, 3] },
  { x: [1, 32, 9, 9], o: 48, kernel: [5, 5], padding: [2, 2, 2, 2] },
  { x: [2, 16, 9, 7], o: 16, kernel: [1, 7], padding: [0, 3, 0, 3] },
  { x: [2, 16, 7, 9], o: 32, kernel: [3, 3], padding: same, groups: 4 },
  { x: [1, 20, 5, 7], o: 10, kernel: [3, 3], padding: same, groups: 5, bias: true },
  { x: [2, 32, 7, 7], o: 32, kernel: [3, 3], padding: same, groups: 2 },
  { x: [2, 32, 9, 7], o: 32, kernel: [3, 3], padding: same, groups: 32 },
  { x: [1, 20, 9, 9], o: 20, kernel: [5, 5], stride: [2, 2], padding: [2, 1, 2, 3], groups: 20 },
  { x: [2, 5, 7, 7], o: 10, kernel: [3, 3], padding: same, groups: 5 },
  { x: [2, 3, 15, 13], o: 48, kernel: [7, 7], stride: [2, 2], padding: [2, 2, 3, 3], groups: 3, bias: true },
  { x: [2, 16, 9, 7], o: 32, kernel: [3, 3], padding: same, groups: 16, bias: true },
  { x: [2, 32, 7, 9], o: 96, kernel: [3, 3], stride: [2, 1], padding: [0, 1, 1, 0], groups: 32 },
  { x: [1, 20, 9, 7], o: 80, kernel: [3, 2], padding: [2, 0, 1, 1], dilation: [2, 1], groups: 20 },
  { x: [2, 16, 5, 5], o: 256, kernel: [1, 3], stride: [1, 3], groups: 16 },
  { x: [2, 32, 9, 7], o: 32, kernel: [5, 5], padding: [2, 2, 2, 2], groups: 32 },
];

export function convolutionCases({ x, o, kernel, groups = 1, bias = false, ...window }: Convolution, i = 0): OpCase[] {
  const { stride = [1, 1], padding = [0, 0, 0, 0], dilation = [1, 1] } = window;
  const attributes = { stride, padding, dilation, groups };
  const [n, c] = x;
  const [h, w] = outputSize(x, { kernel, stride, padding, dilation });
  const weight = [o, c / groups, ...kernel];
  const [X, Y] = [A(...x), A(n, o, h, w)];
  const forward = { op: 'conv2d', outputs: { y: Y }, attributes };
  const cases = [
    { ...forward, inputs: { x: X, w: W(...weight) } },
    { op: 'conv2d_dgrad', inputs: { dy: Y, w: W(...weight) }, outputs: { dx: X }, attributes },
    { op: 'conv2d_wgrad', inputs: { x: X, dy: Y }, outputs: { dw: filterS(...weight) }, attributes },
    { op: 'cast', inputs: { w: filterS(...weight) }, outputs: { y: W(...weight) }, tolerance: tolerances.copy },
  ];
  const [plain, biased] = [
    { x: X, w: W(...weight) },
    { x: X, w: W(...weight), bias: S(o) },
  ];
  const [one, other] = i % 2 === 0 ? [plain, biased] : [biased, plain];
  const fused = [
    { ...forward, op: 'conv2d_relu', inputs: one },
    { ...forward, op: 'conv2d_add_relu', inputs: { ...other, residual: Y } },
    { ...forward, op: 'conv2d_statistics', inputs: plain, outputs: { y: Y, sum: S(o), square_sum: S(o) } },
  ];
  const gradients = i % 3 === 0 ? [summedGradient(X, W(...weight), Y, attributes)] : [];
  const prologues = i % 3 === 1 ? scaledCases(X, W(...weight), Y, attributes) : [];
  return [...cases, ...gradients, ...prologues, ...(bias ? [{ ...forward, inputs: biased }] : []), ...fused].map(
    single,
  );
}

/** dy of this shape, behind a convolution whose input is normalised and rectified. */
function summedGradient(x: Operand, w: Operand, dy: Operand, attributes: Attributes): Single {
  const c = S(x.shape[1] as number);
  const norm = { weight: positive(c), bias: c, mean: drawn(c, (random) => random.normal() / 8), invstd: positive(c) };
  const outputs = { dx: x, dweight: c, dbias: c };
  const rest = { attributes, exact: false, tolerance: tolerances.norm };
  return { op: 'conv2d_dgrad_statistics', inputs: { dy, w, x, ...norm }, outputs, ...rest };
}

/** Of x that is scaled, shifted and rectified on the way in, once with a residual. */
function scaledCases(x: Operand, w: Operand, y: Operand, attributes: Attributes): readonly Single[] {
  const [c, o] = [F(x.shape[1] as number), S(y.shape[1] as number)];
  const [scaled, rest] = [
    { x, scale: c, shift: c },
    { attributes, exact: false },
  ];
  const outputs = { y, sum: o, square_sum: o };
  return [
    { op: 'scaled_conv2d_statistics', inputs: { ...scaled, w }, outputs, ...rest },
    {
      op: 'scaled_add_conv2d_statistics',
      inputs: { ...scaled, residual: x, w },
      outputs: { ...outputs, z: x },
      ...rest,
    },
    { op: 'scaled_conv2d_wgrad', inputs: { ...scaled, dy: y }, outputs: { dw: filterS(...w.shape) }, ...rest },
  ];
}

/** Filters in whole blocks and not, larger than a thread's share, with one number for each output. */
const filters: readonly Size[] = [
  [16, 16, 3, 3],
  [17, 3, 3, 3],
  [48, 20, 1, 1],
  [32, 8, 5, 3],
  [64, 96, 3, 3],
  [5, 1, 2, 3],
  [40, 1, 1, 1],
  [1, 33, 1, 1],
];

function foldCase(shape: Size): OpCase {
  const c = S(shape[0]);
  return single({
    op: 'fold_batch_norm',
    inputs: { w: filterS(...shape), weight: c, bias: c, running_mean: c, running_var: positive(c) },
    outputs: { y: W(...shape), shift: c },
    attributes: { epsilon: 1e-3 },
    exact: false,
    tolerance: tolerances.norm,
  });
}

export const filterCases: readonly OpCase[] = [...convolutions.flatMap(convolutionCases), ...filters.map(foldCase)];
