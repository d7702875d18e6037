import { describe, expect, it } from 'vitest';
import { autocast, fuse, Graph, gradient, graphText, lower, type Value } from '../../lib/graph/index.ts';
import { cifarResNet } from '../../lib/models/index.ts';
import { BatchNorm2d, Conv2d, Module, ReLU } from '../../lib/nn/index.ts';
import { add, softmaxCrossEntropy } from '../../lib/ops/index.ts';
import { sgd } from '../../lib/optim/index.ts';

const everything = new Set(
  ['relu', 'add_relu', 'relu_grad', 'add_relu_grad', 'inference_relu', 'inference_add_relu'].map(
    (op) => `op:batch_norm_${op}`,
  ),
);

function count(graph: Graph): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { op } of graph.nodes) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

function step(model: Module, { preCast = false, training = true } = {}): Graph {
  let graph = new Graph({ training });
  const x = graph.input('x', { shape: [2, 3, 32, 32], format: 'activation' });
  const labels = graph.input('labels', { shape: [2], dtype: 'int32' });
  const learningRate = graph.input('learning_rate', { shape: [1] });
  const logits = graph.name(model.call(x), 'logits');
  if (!training) return graph;
  graph.name(softmaxCrossEntropy(logits, labels), 'loss');
  if (preCast) graph = autocast(graph, 'bfloat16');
  const parameters = model.namedParameters().map(([name]) => graph.find(name));
  const rate = preCast ? graph.find('learning_rate') : learningRate;
  sgd({ momentum: 0.9 }).update(graph, parameters, gradient(graph.find('loss'), parameters), rate);
  return graph;
}

/** Every value that a node reads has been written before. */
function expectOrdered(graph: Graph): void {
  const written = new Set<Value>();
  for (const node of graph.nodes) {
    for (const input of node.inputs) {
      if (input.storage === 'temporary')
        expect(written, `${node.op} ${node.path} reads ${input.name}`).toContain(input);
    }
    for (const output of node.outputs) written.add(output);
  }
}

describe('fuse', () => {
  it('takes every BN of ResNet-20 with its ReLU, both ways', () => {
    const graph = fuse(step(cifarResNet({ depth: 20 })), everything);
    expect(count(graph)).toMatchObject({
      batch_norm_relu: 10,
      batch_norm_add_relu: 9,
      batch_norm_relu_grad: 10,
      batch_norm_add_relu_grad: 9,
    });
    expect(graph.find('grad.layer1.0.bn2.weight').producer).toMatchObject({
      op: 'batch_norm_add_relu_grad',
      path: 'layer1.0.bn2',
    });
    expect(count(graph)).not.toHaveProperty('relu');
    expect(count(graph)).not.toHaveProperty('batch_norm_grad');
    expectOrdered(graph);
  });

  it('takes one of two normalisations that meet in an addition', () => {
    const graph = fuse(step(cifarResNet({ depth: 8, shortcut: 'B' })), everything);
    expect(count(graph)).toMatchObject({
      batch_norm: 2,
      batch_norm_add_relu: 3,
      batch_norm_relu: 4,
      batch_norm_grad: 2,
      batch_norm_add_relu_grad: 3,
      batch_norm_relu_grad: 4,
    });
    expectOrdered(graph);
  });

  it('takes pre-activation and inference', () => {
    const model = cifarResNet({ depth: 20, preActivation: true });
    const training = fuse(step(model), everything);
    expect(count(training)).toMatchObject({ batch_norm_relu: 19, batch_norm_relu_grad: 19, add: 9 + 9 });
    expectOrdered(training);
    expect(count(fuse(step(model, { training: false }), everything))).toMatchObject({ batch_norm_inference_relu: 19 });
    const plain = fuse(step(cifarResNet({ depth: 20 }), { training: false }), everything);
    expect(count(plain)).toMatchObject({ batch_norm_inference_relu: 10, batch_norm_inference_add_relu: 9 });
  });

  it('works on bfloat16', () => {
    const graph = fuse(step(cifarResNet({ depth: 20 }), { preCast: true }), everything);
    expect(count(graph)).toMatchObject({ batch_norm_relu: 10, batch_norm_add_relu_grad: 9 });
    expectOrdered(graph);
  });

  it('uses only what the device offers', () => {
    const source = step(cifarResNet({ depth: 8 }));
    expect(graphText(fuse(source, new Set()))).toBe(graphText(source));
    const some = count(fuse(source, new Set(['op:batch_norm_relu_grad'])));
    expect(some).toMatchObject({ batch_norm: 7, batch_norm_relu_grad: 4, batch_norm_grad: 3 });
  });

  it('leaves a value alone that is kept, and keeps its name', () => {
    const graph = fuse(step(cifarResNet({ depth: 8 })), everything, ['layer1.0.bn1']);
    expect(graph.find('layer1.0.bn1').producer?.op).toBe('batch_norm');
    expect(graph.find('layer1.0').producer?.op).toBe('batch_norm_add_relu');
    expect(count(graph)).toMatchObject({ batch_norm_relu: 3, batch_norm_relu_grad: 4 });
  });

  it('leaves a value alone that has another reader', () => {
    const graph = fuse(step(new TwoReaders()), everything);
    expect(count(graph)).toMatchObject({ batch_norm: 1, relu: 1, batch_norm_grad: 1, relu_grad: 1 });
    expectOrdered(graph);
  });

  it('does not move a running statistic over its other update', () => {
    const graph = fuse(step(new SharedNorm()), everything);
    expectOrdered(graph);
    const updates = graph.nodes.filter(({ outputs }) => outputs.includes(graph.find('bn.running_mean')));
    expect(updates.map(({ inputs }) => inputs[0]?.name)).toEqual(['conv1', 'conv2']);
  });
});

describe('lower', () => {
  it.each([
    ['ResNet-20', cifarResNet({ depth: 20 })],
    ['option B', cifarResNet({ depth: 8, shortcut: 'B' })],
    ['pre-activation', cifarResNet({ depth: 8, preActivation: true })],
  ])('gives back the nodes of %s', (_name, model) => {
    const source = step(model);
    const lowered = lower(fuse(source, everything), new Set());
    expect(count(lowered)).toEqual(count(source));
    expectOrdered(lowered);
  });

  it('finds the mask where the forward pass was not fused', () => {
    const fused = fuse(step(cifarResNet({ depth: 8 })), new Set(['op:batch_norm_relu_grad']));
    expect(count(lower(fused, new Set()))).toMatchObject({ relu_grad: 7, batch_norm_grad: 7 });
  });

  it('changes nothing that the device offers', () => {
    const fused = fuse(step(cifarResNet({ depth: 8 })), everything);
    expect(graphText(lower(fused, everything))).toBe(graphText(fused));
  });
});

describe('autocast', () => {
  it('keeps parameters, statistics and loss in float32', () => {
    const graph = step(cifarResNet({ depth: 8 }), { preCast: true });
    expect(graph.variables.every(({ dtype }) => dtype === 'float32')).toBe(true);
    expect(graph.find('layer1.0.conv1').dtype).toBe('bfloat16');
    expect(graph.find('layer1').dtype).toBe('bfloat16');
    expect(graph.find('loss').dtype).toBe('float32');
    const loss = graph.find('loss').producer;
    expect(loss?.inputs[0]).toMatchObject({ dtype: 'float32', producer: { op: 'cast' } });
    const norm = graph.find('layer1.0.bn1').producer;
    expect(norm?.outputs.map(({ dtype }) => dtype)).toEqual(['bfloat16', 'float32', 'float32', 'float32', 'float32']);
  });

  it('casts each weight once', () => {
    const graph = step(cifarResNet({ depth: 8 }), { preCast: true });
    const casts = graph.nodes.filter(({ op }) => op === 'cast');
    expect(new Set(casts.map(({ inputs }) => inputs[0])).size).toBe(casts.length);
    expect(casts.filter(({ inputs }) => inputs[0]?.storage === 'variable')).toHaveLength(8);
  });

  it('refuses other dtypes', () => {
    expect(() => autocast(new Graph(), 'float64' as 'bfloat16')).toThrow(
      /dtype must be 'bfloat16' or 'float16', got float64/,
    );
    expect(() => autocast(new Graph({ dtype: 'float64' }), 'bfloat16')).toThrow('only float32 graphs');
  });
});

/** The normalised value is read by the ReLU and by an addition behind it. */
class TwoReaders extends Module {
  readonly conv = new Conv2d(3, 4, 3);
  readonly bn = new BatchNorm2d(4);
  readonly relu = new ReLU();
  readonly head = new Head(4);

  override forward(x: Value): Value {
    const y = this.bn.call(this.conv.call(x));
    return this.head.call(add(this.relu.call(y), y));
  }
}

/** One normalisation used twice, its first ReLU standing behind its second use. */
class SharedNorm extends Module {
  readonly conv1 = new Conv2d(3, 4, 3);
  readonly conv2 = new Conv2d(4, 4, 1);
  readonly bn = new BatchNorm2d(4);
  readonly relu = new ReLU();
  readonly head = new Head(4);

  override forward(x: Value): Value {
    const a = this.conv1.call(x);
    const b = this.conv2.call(a);
    const first = this.bn.call(a);
    const second = this.bn.call(b);
    return this.head.call(add(this.relu.call(first), this.relu.call(second)));
  }
}

class Head extends Module {
  readonly conv: Conv2d;

  constructor(channels: number) {
    super();
    this.conv = new Conv2d(channels, 2, 30);
  }

  override forward(x: Value): Value {
    const y = this.conv.call(x);
    return y.graph.emit('flatten', [y], [{ shape: [2, 2], dtype: y.dtype, format: 'plain' }])[0] as Value;
  }
}
