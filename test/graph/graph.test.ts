import { describe, expect, it } from 'vitest';
import { Graph, graphText, type Value } from '../../lib/graph/index.ts';
import { add, relu } from '../../lib/ops/index.ts';

const shape = [2, 3, 4, 4];

function activation(graph: Graph, name = 'x'): Value {
  return graph.input(name, { shape, format: 'activation' });
}

describe('names', () => {
  it('are made up from op and path, and unique', () => {
    const graph = new Graph();
    const x = activation(graph);
    const values = graph.scope('layer1', () => graph.scope('0', () => [relu(x), relu(x)]));
    expect(values.map(({ name }) => name)).toEqual(['layer1.0.relu', 'layer1.0.relu_1']);
    expect(graph.nodes.map(({ path }) => path)).toEqual(['layer1.0', 'layer1.0']);
  });

  it('that are given replace made-up ones; further ones are aliases', () => {
    const graph = new Graph();
    const y = relu(activation(graph));
    graph.name(y, 'y');
    graph.endPoint(y, 'layer1');
    expect(y.name).toBe('y');
    expect(graph.find('layer1')).toBe(y);
    expect(graph.has('relu')).toBe(false);
  });

  it('cannot be given twice; a repeated end point gets a suffix', () => {
    const graph = new Graph();
    const x = activation(graph);
    graph.name(relu(x), 'y');
    expect(() => graph.name(relu(x), 'y')).toThrow("the name 'y' is taken in this graph");
    expect(graph.endPoint(relu(x), 'y').name).toBe('y_1');
  });

  it('that are unknown bring up the nearest', () => {
    const graph = new Graph();
    activation(graph, 'images');
    expect(() => graph.find('imags')).toThrow("no value is called 'imags'; the nearest names: 'images'");
  });
});

describe('variables', () => {
  it('are memoised by name, where the type agrees', () => {
    const graph = new Graph();
    const w = graph.variable('w', { shape: [3] });
    expect(graph.variable('w', { shape: [3] })).toBe(w);
    expect(() => graph.variable('w', { shape: [4] })).toThrow(
      "variable 'w': is float32 plain [3] already, cannot also be float32 plain [4]",
    );
  });

  it('take the dtype of the graph', () => {
    expect(new Graph({ dtype: 'float64' }).variable('w', { shape: [3] }).dtype).toBe('float64');
  });
});

describe('errors', () => {
  it.each([[0], [-1], [1.5], [Number.NaN], [Number.POSITIVE_INFINITY], ['2']])('a size of %s is refused', (size) => {
    expect(() => new Graph().input('x', { shape: [2, size as number] })).toThrow(
      `input 'x': every size of a shape is a positive integer, got ${size} in [2,${size}]`,
    );
  });

  it('more than 2^31 - 1 elements are refused', () => {
    expect(() => new Graph().input('x', { shape: [2 ** 16, 2 ** 15] })).toThrow(
      '2147483648 elements, more than 2^31 - 1',
    );
    expect(new Graph().input('x', { shape: [2 ** 31 - 1] }).shape).toEqual([2 ** 31 - 1]);
  });

  it('activations and filters have four axes', () => {
    expect(() => new Graph().input('x', { shape: [2, 3], format: 'activation' })).toThrow(
      "format 'activation' has 4 axes",
    );
  });

  it('values of two graphs do not mix', () => {
    expect(() => add(activation(new Graph()), activation(new Graph()))).toThrow("add: 'x' belongs to another graph");
  });

  it('dtypes and formats are known ones', () => {
    expect(() => new Graph().input('x', { shape: [2], dtype: 'float' as 'float32' })).toThrow(
      "input 'x': there is no dtype 'float'; all: float64, float32",
    );
    expect(() => new Graph().variable('w', { shape: [2], format: 'NHWC' as 'plain' })).toThrow(
      "variable 'w': there is no format 'NHWC'; all: activation, filter, plain",
    );
  });

  it('only variables are written in place', () => {
    const graph = new Graph();
    const x = activation(graph);
    expect(() => graph.emit('relu', [x], [x])).toThrow("relu: only variables are written in place, not input 'x'");
    expect(() => graph.emit('relu', [x], [relu(x)])).toThrow("not temporary 'relu'");
  });

  it('bfloat16 is a pass, not a dtype of a graph', () => {
    expect(() => new Graph({ dtype: 'bfloat16' as 'float32' })).toThrow('autocast()');
  });
});

it('prints one line per node', () => {
  const graph = new Graph();
  const x = activation(graph);
  graph.name(add(relu(x), x), 'y');
  expect(graphText(graph)).toBe('relu: float32 [2,3,4,4] = relu(x)\ny: float32 [2,3,4,4] = add(relu, x)');
});
