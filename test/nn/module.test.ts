import { describe, expect, it } from 'vitest';
import { Graph, type Value } from '../../lib/graph/index.ts';
import {
  BatchNorm2d,
  Conv2d,
  DepthwiseConv2d,
  Flatten,
  Linear,
  MaxPool2d,
  Module,
  ReLU,
  SeparableConv2d,
  Sequential,
} from '../../lib/nn/index.ts';
import { relu } from '../../lib/ops/index.ts';

class Block extends Module {
  readonly conv = new Conv2d(3, 4, 3, { padding: 1 });
  readonly norms = [new BatchNorm2d(4), new BatchNorm2d(4)];

  override forward(x: Value): Value {
    return this.norms.reduce((y, norm) => norm.call(y), this.conv.call(x));
  }
}

class Net extends Module {
  readonly block = new Block();
  readonly head = new Sequential(new MaxPool2d(2), new Flatten(), new Linear(64, 10));

  override forward(x: Value): Value {
    return this.head.call(relu(this.block.call(x)));
  }
}

function apply(model: Module, graph = new Graph()): Value {
  return model.call(graph.input('x', { shape: [2, 3, 8, 8], format: 'activation' }));
}

describe('Module', () => {
  it('names parameters and buffers by property, in order', () => {
    const names = new Net().namedParameters().map(([name]) => name);
    expect(names).toEqual([
      'block.conv.weight',
      'block.conv.bias',
      'block.norms.0.weight',
      'block.norms.0.bias',
      'block.norms.1.weight',
      'block.norms.1.bias',
      'head.2.weight',
      'head.2.bias',
    ]);
    expect(new Net().namedBuffers().map(([name]) => name)).toEqual([
      'block.norms.0.running_mean',
      'block.norms.0.running_var',
      'block.norms.1.running_mean',
      'block.norms.1.running_var',
    ]);
  });

  it('gives the graph variables, paths and end points of these names', () => {
    const graph = new Graph({ training: true });
    const model = new Net();
    const logits = apply(model, graph);
    expect(graph.variables.map(({ name }) => name).toSorted()).toEqual(
      [...model.namedParameters(), ...model.namedBuffers()].map(([name]) => name).toSorted(),
    );
    expect(graph.find('block.conv').producer).toMatchObject({ op: 'conv2d', path: 'block.conv' });
    expect(graph.find('block')).toBe(graph.find('block.norms.1'));
    expect(graph.find('head.2')).toBe(logits);
    expect(graph.nodes.find(({ op }) => op === 'relu')?.path).toBe('');
  });

  it('serves several graphs, training and not', () => {
    const model = new Net();
    const graphs = [new Graph({ training: true }), new Graph()];
    for (const graph of graphs) apply(model, graph);
    const [training, inference] = graphs.map(({ nodes, variables }) => ({
      ops: nodes.map(({ op }) => op),
      variables: variables.map(({ name }) => name),
    }));
    expect(training?.variables).toEqual(inference?.variables);
    expect(training?.ops).toContain('batch_norm');
    expect(inference?.ops).toContain('batch_norm_inference');
  });

  it('shares the parameters of a module that is used twice', () => {
    const conv = new Conv2d(3, 3, 1);
    const model = new Sequential(conv, new ReLU(), conv);
    const graph = new Graph();
    apply(model, graph);
    expect(graph.variables.map(({ name }) => name)).toEqual(['0.weight', '0.bias']);
    expect(graph.has('0_1')).toBe(true);
  });

  it('stands under the scope in which it is applied', () => {
    const graph = new Graph();
    graph.scope('student', () => apply(new Sequential(new Conv2d(3, 3, 1)), graph));
    expect(graph.variables.map(({ name }) => name)).toEqual(['student.0.weight', 'student.0.bias']);
  });

  it('says where modules belong', () => {
    class Hidden extends Module {
      readonly #conv = new Conv2d(3, 3, 1);
      override forward(x: Value): Value {
        return this.#conv.call(x);
      }
    }
    expect(() => apply(new Hidden())).toThrow(
      'Conv2d is not part of the model that is being applied: keep it in a property',
    );
    expect(() => apply(new Net())).not.toThrow();
  });

  it('names the layer in shape errors', () => {
    const model = new Sequential(new Conv2d(3, 4, 3), new Sequential(new Conv2d(8, 4, 3)));
    expect(() => apply(model)).toThrow(
      'conv2d 1.0: input has 4 channels, weight expects 8 (input [2,4,6,6], weight [4,8,3,3])',
    );
  });

  it('carries initial values that depend on seed and name alone', () => {
    const first = initialOf(new Sequential(new Conv2d(3, 3, 1)), '0.weight', 7);
    const second = initialOf(new Sequential(new Conv2d(3, 3, 1), new Conv2d(3, 3, 1)), '0.weight', 7);
    expect(second).toEqual(first);
    expect(initialOf(new Sequential(new Conv2d(3, 3, 1)), '0.weight', 8)).not.toEqual(first);
    expect(initialOf(new Sequential(new ReLU(), new Conv2d(3, 3, 1)), '1.weight', 7)).not.toEqual(first);
  });
});

function initialOf(model: Module, name: string, seed: number) {
  const graph = new Graph();
  apply(model, graph);
  const { initial } = graph.find(name);
  return typeof initial === 'function' ? initial(seed) : initial;
}

describe('constructor arguments', () => {
  it.each([
    ["Conv2d: there is no option 'kernelSize'", () => new Conv2d(3, 4, 3, { kernelSize: 3 } as object)],
    [
      "BatchNorm2d: there is no option 'epsilon'; did you mean 'eps'?",
      () => new BatchNorm2d(3, { epsilon: 1 } as object),
    ],
    ['Conv2d: inChannels', () => new Conv2d(0, 4, 3)],
    ['Conv2d: outChannels', () => new Conv2d(3, 1.5, 3)],
    ['Conv2d: kernelSize', () => new Conv2d(3, 4, -3)],
    ['Conv2d: groups', () => new Conv2d(3, 4, 3, { groups: 0 })],
    ['Conv2d: groups', () => new Conv2d(3, 4, 3, { groups: 2 })],
    ['BatchNorm2d: numFeatures', () => new BatchNorm2d(Number.NaN)],
    ['Linear: inFeatures', () => new Linear(-1, 4)],
    ['Linear: outFeatures', () => new Linear(4, '4' as unknown as number)],
  ])('%s is checked', (text, make) => {
    expect(make).toThrow(text);
  });
});

describe('separable convolution', () => {
  it('is a depthwise one with the window, and a pointwise one with the bias', () => {
    const options = { depthMultiplier: 8, stride: 2, padding: 'same' } as const;
    const layer = new SeparableConv2d(3, 64, 7, { ...options, composed: false });
    const shapes = layer.namedParameters().map(([name, { shape }]) => [name, shape]);
    expect(shapes).toEqual([
      ['depthwise.weight', [24, 1, 7, 7]],
      ['pointwise.weight', [64, 24, 1, 1]],
      ['pointwise.bias', [64]],
    ]);
    const y = apply(layer);
    expect(y.shape).toEqual([2, 64, 4, 4]);
    const [depthwise, pointwise] = y.graph.nodes;
    expect(depthwise?.attributes).toMatchObject({ groups: 3, stride: [2, 2], padding: [2, 2, 3, 3] });
    expect(pointwise?.attributes).toMatchObject({ groups: 1, stride: [1, 1], padding: [0, 0, 0, 0] });
    // of pictures, one dense convolution
    const dense = apply(new SeparableConv2d(3, 64, 7, options));
    expect(dense.shape).toEqual(y.shape);
    expect(dense.graph.nodes.map(({ op }) => op)).toEqual(['compose_separable', 'conv2d']);
    expect(dense.graph.nodes[1]?.attributes).toMatchObject({ groups: 1, stride: [2, 2], padding: [2, 2, 3, 3] });
  });

  it.each([0, 1.5, -1])('refuses a depth multiplier of %s', (depthMultiplier) => {
    const text = `DepthwiseConv2d: depthMultiplier must be a positive integer, got ${depthMultiplier}`;
    expect(() => new DepthwiseConv2d(3, 3, { depthMultiplier })).toThrow(text);
    expect(() => new SeparableConv2d(3, 8, 3, { depthMultiplier })).toThrow(text);
  });

  it('refuses options that it lacks', () => {
    expect(() => new DepthwiseConv2d(3, 3, { groups: 3 } as object)).toThrow("there is no option 'groups'");
    expect(() => new SeparableConv2d(3, 8, 3, { multiplier: 2 } as object)).toThrow("there is no option 'multiplier'");
  });
});
