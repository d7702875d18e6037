import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Graph, multiplyAdds, type Node, type Value } from '../../lib/graph/index.ts';
import {
  augment,
  avgPool2d,
  cast,
  concat,
  conv2d,
  flatten,
  gather,
  globalAvgPool,
  linear,
  maxPool2d,
  probabilities,
  softmaxCrossEntropy,
  subsamplePad,
  topkCorrect,
} from '../../lib/ops/index.ts';

interface WindowCase {
  readonly op: 'conv' | 'max' | 'avg';
  readonly size: readonly number[];
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly ceil: boolean;
  readonly output: readonly number[] | null;
}

interface PaddingCase {
  readonly size: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly padding: readonly number[];
}

const golden = (name: string) =>
  JSON.parse(readFileSync(new URL(`../goldens/${name}.json`, import.meta.url), 'utf8')).content;
const windows: WindowCase[] = golden('window-sizes');
const paddings: PaddingCase[] = golden('same-paddings');

function activation(graph: Graph, shape: readonly number[]): Value {
  return graph.input('x', { shape, format: 'activation' });
}

function apply({ op, size, kernel, stride, padding, ceil }: WindowCase): Value {
  const graph = new Graph();
  const x = activation(graph, [1, 1, ...size]);
  if (op === 'conv') {
    return conv2d(x, graph.variable('w', { shape: [1, 1, ...kernel], format: 'filter' }), { stride, padding });
  }
  return (op === 'max' ? maxPool2d : avgPool2d)(x, { kernel, stride, padding, ceilMode: ceil });
}

describe('output sizes are those of PyTorch', () => {
  it.each(windows)('$op $size kernel $kernel stride $stride padding $padding ceil $ceil', (window) => {
    if (window.output) expect(apply(window).shape.slice(2)).toEqual(window.output);
    else expect(() => apply(window)).toThrow();
  });

  it('in enough cases of both kinds', () => {
    expect(windows.filter(({ output }) => output).length).toBeGreaterThanOrEqual(50);
    expect(windows.filter(({ output }) => !output).length).toBeGreaterThanOrEqual(5);
  });
});

describe("padding 'same' is TensorFlow's, as timm computes it", () => {
  it.each(paddings)('$size kernel $kernel stride $stride dilation $dilation', ({ padding, ...window }) => {
    const { size, kernel, ...options } = window;
    const graph = new Graph();
    const w = graph.variable('w', { shape: [1, 1, ...kernel], format: 'filter' });
    const y = conv2d(activation(graph, [1, 1, ...size]), w, { ...options, padding: 'same' });
    expect(y.producer?.attributes.padding).toEqual(padding);
    expect(y.shape.slice(2)).toEqual(size.map((extent, axis) => Math.ceil(extent / (options.stride[axis] as number))));
  });

  it('on enough windows of both kinds', () => {
    const isEven = ({ padding: [top, left, bottom, right] }: PaddingCase) => top === bottom && left === right;
    expect(paddings.filter(isEven).length).toBeGreaterThanOrEqual(10);
    expect(paddings.filter((window) => !isEven(window)).length).toBeGreaterThanOrEqual(20);
  });

  it('for pooling too, with and without ceil mode', () => {
    for (const ceilMode of [false, true]) {
      const y = maxPool2d(activation(new Graph(), [1, 1, 8, 9]), { kernel: 2, stride: 1, padding: 'same', ceilMode });
      expect(y.producer?.attributes.padding).toEqual([0, 0, 1, 1]);
      expect(y.shape).toEqual([1, 1, 8, 9]);
    }
  });
});

describe("padding 'fixed' is the extent less one, the odd pixel after", () => {
  it.each([
    { kernel: 7, stride: 2, dilation: 1, padding: [3, 3, 3, 3], size: [112, 113] },
    { kernel: 3, stride: 2, dilation: 1, padding: [1, 1, 1, 1], size: [112, 113] },
    { kernel: 4, stride: 2, dilation: 1, padding: [1, 1, 2, 2], size: [112, 113] },
    { kernel: 2, stride: 3, dilation: 3, padding: [1, 1, 2, 2], size: [75, 75] },
    { kernel: 1, stride: 2, dilation: 1, padding: [0, 0, 0, 0], size: [112, 113] },
  ])('kernel $kernel stride $stride dilation $dilation', ({ kernel, padding, size, ...window }) => {
    const graph = new Graph();
    const w = graph.variable('w', { shape: [1, 1, kernel, kernel], format: 'filter' });
    const y = conv2d(activation(graph, [1, 1, 224, 225]), w, { ...window, padding: 'fixed' });
    expect(y.producer?.attributes.padding).toEqual(padding);
    expect(y.shape.slice(2)).toEqual(size);
  });
});

describe('types', () => {
  it('asymmetric padding is [top, left, bottom, right]', () => {
    const graph = new Graph();
    const w = graph.variable('w', { shape: [4, 3, 3, 3], format: 'filter' });
    const y = conv2d(activation(graph, [2, 3, 10, 10]), w, { padding: [0, 1, 2, 3] });
    expect(y).toMatchObject({ shape: [2, 4, 10, 12], format: 'activation', dtype: 'float32' });
    expect(y.producer?.attributes).toEqual({ stride: [1, 1], padding: [0, 1, 2, 3], dilation: [1, 1], groups: 1 });
  });

  it('[h, w] padding is the same on both sides', () => {
    const graph = new Graph();
    const y = maxPool2d(activation(graph, [2, 3, 8, 8]), { kernel: [2, 3], stride: 1, padding: [0, 1] });
    expect(y.producer?.attributes.padding).toEqual([0, 1, 0, 1]);
    expect(y.shape).toEqual([2, 3, 7, 8]);
  });

  it('the index of a max pool is a byte where the window has at most 256 places', () => {
    const index = (kernel: number) =>
      maxPool2d(activation(new Graph(), [1, 1, 20, 20]), { kernel }).producer?.outputs[1];
    expect(index(16)?.dtype).toBe('uint8');
    expect(index(17)?.dtype).toBe('int32');
  });

  it.each(['bfloat16', 'float16'] as const)('layers may be written in %s, without autocast', (dtype) => {
    const graph = new Graph();
    const half = (shape: number[]) => cast(graph.input(`x${shape}`, { shape }), dtype);
    expect(linear(half([2, 3]), half([4, 3]))).toMatchObject({ shape: [2, 4], dtype });
  });

  it('pooling strides by its kernel', () => {
    expect(maxPool2d(activation(new Graph(), [1, 1, 9, 9]), { kernel: 3 }).shape).toEqual([1, 1, 3, 3]);
  });

  it('the head of a network is plain', () => {
    const graph = new Graph({ dtype: 'float64' });
    const x = activation(graph, [2, 3, 4, 5]);
    expect(globalAvgPool(x)).toMatchObject({ shape: [2, 3], format: 'plain', dtype: 'float64' });
    expect(flatten(x)).toMatchObject({ shape: [2, 60], format: 'plain' });
    const labels = graph.input('labels', { shape: [2], dtype: 'int32' });
    const logits = linear(globalAvgPool(x), graph.variable('w', { shape: [7, 3] }));
    const loss = softmaxCrossEntropy(logits, labels, { smoothing: 0.1 });
    expect(loss).toMatchObject({ shape: [1], dtype: 'float64' });
    expect(probabilities(loss)).toMatchObject({ shape: [2, 7], dtype: 'float64' });
    expect(topkCorrect(logits, labels, { k: 5 })).toMatchObject({ shape: [1], dtype: 'int32' });
  });

  it('option A takes every second pixel, the last of an odd size too', () => {
    const y = subsamplePad(activation(new Graph(), [2, 16, 7, 8]), { stride: 2, channels: 32 });
    expect(y.shape).toEqual([2, 32, 4, 4]);
  });

  it('concatenation adds up channels', () => {
    const graph = new Graph({ dtype: 'float64' });
    const parts = [3, 16, 1].map((c, i) => graph.input(`x${i}`, { shape: [2, c, 7, 8], format: 'activation' }));
    expect(concat(parts)).toMatchObject({ shape: [2, 20, 7, 8], format: 'activation', dtype: 'float64' });
  });

  it('images become activations', () => {
    const graph = new Graph();
    const table = graph.variable('data', { shape: [100, 32, 32, 3], dtype: 'uint8' });
    const images = gather(table, graph.input('indices', { shape: [8], dtype: 'int32' }));
    expect(images).toMatchObject({ shape: [8, 32, 32, 3], dtype: 'uint8' });
    const y = augment(images, { size: 28, mean: [0, 0, 0], std: [1, 1, 1] });
    expect(y).toMatchObject({ shape: [8, 3, 28, 28], format: 'activation', dtype: 'float32' });
  });
});

describe('multiplyAdds', () => {
  it('of a convolution is the same in all three directions', () => {
    const graph = new Graph();
    const x = activation(graph, [2, 8, 10, 10]);
    const w = graph.variable('w', { shape: [12, 4, 3, 3], format: 'filter' });
    const y = conv2d(x, w, { groups: 2, stride: 2, padding: 1 });
    graph.emit('conv2d_dgrad', [y, w], [{ shape: x.shape, dtype: 'float32', format: 'activation' }]);
    graph.emit('conv2d_wgrad', [x, y], [{ shape: w.shape, dtype: 'float32', format: 'filter' }]);
    expect(graph.nodes.map((node) => multiplyAdds(node))).toEqual(Array(3).fill(2 * 12 * 5 * 5 * 4 * 9));
  });

  it('of a linear layer is N · I · O', () => {
    const graph = new Graph();
    const y = linear(graph.input('x', { shape: [5, 3] }), graph.variable('w', { shape: [7, 3] }));
    expect(multiplyAdds(y.producer as Node)).toBe(5 * 3 * 7);
  });
});
