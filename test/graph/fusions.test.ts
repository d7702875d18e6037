// Whole networks after fusion: as recorded, as counted in the tables of the papers, and what must not be fused.
import { describe, expect, it } from 'vitest';
import { type Attributes, fuse, Graph, graphText, lower, typeOf, type Value } from '../../lib/graph/index.ts';
import { BatchNorm2d, Conv2d, type Conv2dOptions, Module } from '../../lib/nn/index.ts';
import { add, relu } from '../../lib/ops/index.ts';
import { everything, fusedText, modes, networks, predictionOf, recordedText, trainingOf } from './fused/graphs.ts';

function count(graph: Graph): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { op } of graph.nodes) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

const halves = ['float16', 'bfloat16'] as const;
const countFused = (graph: Graph, keep: readonly string[] = []) => count(fuse(graph, everything, keep));

describe.each(networks)('%s', (name) => {
  it.each(modes)('in %s is the graph on record', (mode) => {
    expect(fusedText(name, mode)).toBe(recordedText(name, mode));
  });
});

// Convolutions of the tables: He et al. 2015 (table 1; section 4.2 for ResNet-20), He et al. 2016, Ioffe and Szegedy 2015
// (figure 5). Of ResNet-50, 16 blocks end in add and ReLU, and 4 shortcuts are convolutions without a ReLU; before
// activation, the norms in front of 16 blocks and of the head have no convolution of their own before them.
const inference: Readonly<Record<string, Record<string, number>>> = {
  'cifar-resnet20': { fold_batch_norm: 19, conv2d_relu: 10, conv2d_add_relu: 9, subsample_pad: 2 },
  resnet50: { fold_batch_norm: 53, conv2d_relu: 33, conv2d_add_relu: 16, conv2d: 4 },
  'resnet50-v2': { fold_batch_norm: 32, conv2d_relu: 32, conv2d: 22, batch_norm_inference_relu: 17, add: 16 },
  'inception-v2': { fold_batch_norm: 69, conv2d_relu: 69, concat: 10 },
};
const training: Readonly<Record<string, Record<string, number>>> = {
  'cifar-resnet20': { conv2d: 19, batch_norm_relu: 10, batch_norm_add_relu_mask: 9 },
  resnet50: { conv2d: 53, batch_norm_relu: 33, batch_norm_add_relu_mask: 16, batch_norm: 4 },
  'resnet50-v2': { conv2d: 54, batch_norm_relu: 49, add: 16 + 16 },
  'inception-v2': { conv2d: 69, batch_norm_relu: 69 },
};
const unfused = ['relu', 'batch_norm_inference', 'fold_batch_norm', 'conv2d_relu', 'conv2d_add_relu'];

describe.each(networks)('the convolutions of %s', (name) => {
  it('carry their normalisation, addition and ReLU in inference', () => {
    const counts = countFused(predictionOf(name));
    expect(counts).toMatchObject(inference[name] as object);
    for (const op of ['relu', 'batch_norm_inference']) expect(counts).not.toHaveProperty(op);
  });

  it('carry nothing in training, where their sums are normalised by their own statistics', () => {
    const counts = countFused(trainingOf(name));
    expect(counts).toMatchObject(training[name] as object);
    for (const op of unfused) expect(counts).not.toHaveProperty(op);
  });
});

describe('folding', () => {
  // ResNet-50, one picture: the stem, all 10 of the first stage, 9 of 13 in the second (3·3·128·128 weights are more than a
  // map of 128·28·28), the first of the third (512·256 against 256·28·28); from there on weights are the larger.
  it('leaves a normalisation alone where the pass over the weights is the longer one', () => {
    expect(countFused(predictionOf('resnet50', 1))).toMatchObject({ fold_batch_norm: 1 + 10 + 9 + 1 });
  });

  it('takes the place of the cast to half precision, and then costs no pass', () => {
    const counts = countFused(predictionOf('resnet50', 1, 'bfloat16'));
    expect(counts.fold_batch_norm).toBe(53);
    const casts = fuse(predictionOf('resnet50', 1, 'bfloat16'), everything).nodes.filter(({ op }) => op === 'cast');
    expect(casts.map(({ inputs: [x] }) => x?.name)).not.toContain('conv1.weight');
    const [fold] = fuse(predictionOf('resnet50', 1, 'bfloat16'), everything).nodes.filter(
      ({ op }) => op === 'fold_batch_norm',
    );
    expect(fold?.inputs[0]).toMatchObject({ name: 'conv1.weight', dtype: 'float32' });
    expect(fold?.outputs.map(({ dtype }) => dtype)).toEqual(['bfloat16', 'float32']);
  });

  it('reads weights and statistics in the program, where a step before it changes them', () => {
    const graph = convNorm();
    const weight = graph.find('conv.weight');
    graph.emit('sgd_update', [graph.input('rate', { shape: [1] }), graph.input('gradient', typeOf(weight))], [weight]);
    const { nodes } = fuse(graph, everything);
    expect(nodes.map(({ op }) => op)).toEqual(['fold_batch_norm', 'conv2d', 'sgd_update']);
  });

  it('does not move over an update of the statistics', () => {
    const between = ({ conv, norm }: ConvNorm, graph: Graph) => {
      for (const tensor of [norm.running_mean, conv.weight]) graph.emit('disturb', [], [tensor.variable(graph)]);
    };
    expect(countFused(convNorm({ between }))).toEqual({ conv2d: 1, disturb: 2, batch_norm_inference: 1 });
  });

  it.each([
    ['another reader of the sum', { reader: true }],
    ['a sum that is kept', { keep: ['conv'] }],
    ['a bias of the convolution', { conv: { bias: true } }],
    ['training', { training: true }],
  ] as [string, Options][])('stops at %s', (_, options) => {
    expect(countFused(convNorm(options), options.keep)).toMatchObject({ conv2d: 1, batch_norm_inference: 1 });
  });
});

interface Options {
  readonly conv?: Conv2dOptions;
  readonly between?: (net: ConvNorm, graph: Graph) => void;
  readonly reader?: boolean;
  readonly keep?: readonly string[];
  readonly training?: boolean;
}

class ConvNorm extends Module {
  readonly conv: Conv2d;
  readonly norm = new BatchNorm2d(4);
  readonly #between: Options['between'];

  constructor({ conv = {}, between }: Options) {
    super();
    this.conv = new Conv2d(4, 4, 3, { bias: false, ...conv });
    this.#between = between;
  }

  override forward(x: Value): Value {
    const y = this.conv.call(x);
    this.#between?.(this, x.graph);
    return this.norm.call(y);
  }
}

function convNorm(options: Options = {}): Graph {
  const graph = new Graph({ training: options.training ?? false });
  new ConvNorm(options).freeze().call(graph.input('x', { shape: [8, 4, 9, 9], format: 'activation' }));
  if (options.reader) relu(graph.find('conv'));
  return graph;
}

describe('the sums that a convolution gives', () => {
  // Of 53 convolutions that of the stem reads three channels, which cuDNN does not sum up. Two of three in each of 16 blocks
  // read what BN and ReLU left and nobody else reads, and make it; in float16 the first of all blocks but one makes what
  // BN, addition and ReLU left. In bfloat16 the gradients of three skip every other pixel and give no sums.
  it.each([
    [
      'float16',
      {
        conv2d_statistics: 5,
        scaled_conv2d_statistics: 32,
        scaled_add_conv2d_statistics: 15,
        batch_norm_finish: 47,
        batch_norm_summed_add_relu_mask: 1,
      },
      {
        conv2d_dgrad: 20,
        conv2d_dgrad_statistics: 32,
        batch_norm_summed_grad: 32,
        batch_norm_relu_grad: 1,
        batch_norm_add_relu_grad: 15,
        batch_norm_add_relu_mask_grad: 1,
      },
      { conv2d_wgrad: 21, scaled_conv2d_wgrad: 32 },
    ],
    [
      'bfloat16',
      {
        conv2d_statistics: 20,
        scaled_conv2d_statistics: 32,
        batch_norm_finish: 32,
        batch_norm_summed_add_relu_mask: 16,
      },
      {
        conv2d_dgrad: 23,
        conv2d_dgrad_statistics: 29,
        batch_norm_summed_grad: 29,
        batch_norm_relu_grad: 4,
        batch_norm_add_relu_mask_grad: 16,
      },
      { conv2d_wgrad: 21, scaled_conv2d_wgrad: 32 },
    ],
  ] as const)('serve its normalisation in training with %s', (dtype, forward, gradients, weights) => {
    const counts = countFused(trainingOf('resnet50', dtype));
    expect(counts).toMatchObject({ conv2d: 1, ...forward, ...weights, batch_norm_relu: 1 });
    expect(counts).toMatchObject({
      batch_norm_summed: 4,
      batch_norm_grad: 4,
      ...gradients,
    });
  });

  it('are not asked for in float32, nor in inference', () => {
    const others = [trainingOf('cifar-resnet20'), predictionOf('cifar-resnet20', 8, 'float16')];
    for (const graph of others) expect(countFused(graph)).not.toHaveProperty('conv2d_statistics');
  });

  it.each(halves)(
    'let the next convolution normalise, unless somebody else reads or wants what it reads, %s',
    (dtype) => {
      const source = trainingOf('cifar-resnet20', dtype);
      const whole = countFused(source);
      expect(whole).toMatchObject({ batch_norm_finish: 9, scaled_conv2d_statistics: 9, scaled_conv2d_wgrad: 9 });
      const others = {
        batch_norm_finish: 8,
        scaled_conv2d_statistics: 8,
        scaled_conv2d_wgrad: 8,
        conv2d_statistics: 10,
      };
      expect(countFused(source, ['layer1.0.relu'])).toMatchObject({ ...others, batch_norm_summed_relu: 1 });
      source.emit('disturb', [source.find('layer1.0.relu')], []);
      expect(countFused(source)).toMatchObject({ ...others, batch_norm_summed_relu: 1 });
    },
  );

  it('are made between blocks where nothing else reads before the convolution does', () => {
    const fused = (changes: readonly string[], keep: readonly string[] = []) =>
      count(
        fuse(
          trainingOf('resnet50', 'float16'),
          new Set([...everything].filter((name) => !changes.includes(name))),
          keep,
        ),
      );
    expect(fused(['op:scaled_add_conv2d_statistics'])).toMatchObject({
      ...{ batch_norm_summed_add_relu_mask: 16, conv2d_statistics: 20, scaled_conv2d_statistics: 32 },
    });
    expect(fused([], ['layer1.0.relu_2'])).toMatchObject({ scaled_add_conv2d_statistics: 15 });
    expect(fused([], ['layer1.0.bn3'])).toMatchObject({ scaled_add_conv2d_statistics: 14, batch_norm_summed: 5 });
  });

  it('of a gradient are switched by themselves', () => {
    const { nodes } = fuse(
      trainingOf('cifar-resnet20', 'float16'),
      new Set(['op:batch_norm_relu_grad', 'op:batch_norm_summed_grad']),
    );
    const ops = nodes.map(({ op }) => op);
    expect(ops.filter((op) => op === 'conv2d_dgrad_statistics')).toHaveLength(9);
    expect(ops.filter((op) => op === 'conv2d_statistics')).toEqual([]);
  });

  it.each(['cifar-resnet20', 'resnet50'])('lower to the nodes that they stand for, %s', (name) => {
    for (const dtype of halves) {
      const source = trainingOf(name, dtype);
      expect(count(lower(fuse(source, everything), new Set()))).toEqual(count(source));
    }
  });
});

describe('the mask of a ReLU behind an addition', () => {
  const source = trainingOf('cifar-resnet20');
  const gradientsOf = ({ nodes }: Graph, op: string) => nodes.filter((node) => node.op === op);

  it('has a bit for each number, and is what the gradient reads', () => {
    const gradients = gradientsOf(fuse(source, everything), 'batch_norm_add_relu_mask_grad');
    expect(gradients).toHaveLength(9);
    for (const { inputs, path } of gradients) {
      const [, x, mask] = inputs as [Value, Value, Value];
      const [n, c, ...map] = x.shape as [number, number, ...number[]];
      expect(mask.producer).toMatchObject({ op: 'batch_norm_add_relu_mask', path, inputs: { 0: x } });
      expect(typeOf(mask)).toEqual({ shape: [n, c / 8, ...map], dtype: 'uint8', format: 'activation' });
    }
  });

  it('is lowered to what it was taken of', () => {
    const lowered = lower(fuse(source, everything), new Set());
    const read = gradientsOf(lowered, 'relu_grad').map(({ inputs }) => inputs[1]?.producer?.op);
    expect(read).toEqual(Array(19).fill('relu'));
  });

  it('is switched by itself', () => {
    const without = new Set([...everything].filter((feature) => feature !== 'op:batch_norm_add_relu_mask'));
    const counts = count(fuse(source, without));
    expect(counts).toMatchObject({ batch_norm_add_relu: 9, batch_norm_add_relu_grad: 9 });
    expect(Object.keys(counts).filter((op) => op.includes('mask'))).toEqual([]);
  });
});

describe('conv2d_relu and conv2d_add_relu', () => {
  const attributes: Attributes = { stride: [2, 1], padding: [1, 0, 1, 0], dilation: [1, 1], groups: 2 };

  function activated({ bias = true, adds = false, training = false }): Graph {
    const graph = new Graph({ training });
    const x = graph.input('x', { shape: [2, 4, 9, 9], format: 'activation' });
    const conv = new Conv2d(4, 6, 3, { bias, stride: [2, 1], padding: [1, 0], groups: 2 });
    const sum = graph.name(conv.call(x), 'sum');
    const residual = graph.input('residual', typeOf(sum));
    graph.name(relu(adds ? add(residual, sum) : sum), 'y');
    return graph;
  }

  it.each([
    { bias: true, adds: false },
    { bias: false, adds: false },
    { bias: true, adds: true },
    { bias: false, adds: true },
  ])('take bias $bias, residual $adds, and lower to the nodes that they stand for', (options) => {
    const source = activated(options);
    const fused = fuse(source, everything);
    expect(fused.nodes).toHaveLength(1);
    const operands = ['x', 'weight', ...(options.bias ? ['bias'] : []), ...(options.adds ? ['residual'] : [])];
    expect(fused.nodes[0]).toMatchObject({ op: options.adds ? 'conv2d_add_relu' : 'conv2d_relu', attributes });
    expect(fused.nodes[0]?.inputs.map(({ name }) => name)).toEqual(operands);
    const lowered = lower(fused, new Set());
    expect(lowered.nodes.map(({ op }) => op)).toEqual(source.nodes.map(({ op }) => op));
    expect(lowered.nodes[0]).toMatchObject({ attributes });
    expect(lowered.find('y').producer?.op).toBe('relu');
    expect(graphText(lower(fused, everything))).toBe(graphText(fused));
  });

  it('leave training alone, and sums that are kept', () => {
    expect(countFused(activated({ training: true }))).toEqual({ conv2d: 1, relu: 1 });
    expect(countFused(activated({}), ['sum'])).toEqual({ conv2d: 1, relu: 1 });
  });

  it('take nothing where a value is added to itself', () => {
    const graph = new Graph();
    const sum = new Conv2d(4, 4, 1).call(graph.input('x', { shape: [2, 4, 3, 3], format: 'activation' }));
    relu(add(sum, sum));
    expect(countFused(graph)).toEqual({ conv2d: 1, add: 1, relu: 1 });
  });
});
