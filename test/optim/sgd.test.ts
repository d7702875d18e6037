import { describe, expect, it } from 'vitest';
import { Graph, type Value } from '../../lib/graph/index.ts';
import { noBiasNoNorm, type SgdOptions, sgd } from '../../lib/optim/index.ts';

function update(options: SgdOptions) {
  const graph = new Graph({ training: true });
  const learningRate = graph.input('learning_rate', { shape: [1] });
  const shapes: Record<string, number[]> = {
    'conv.weight': [4, 3, 3, 3],
    'bn.weight': [4],
    'fc.weight': [2, 4],
    'fc.bias': [2],
  };
  const parameters: Value[] = [];
  const gradients: Value[] = [];
  for (const [name, shape] of Object.entries(shapes)) {
    const format = shape.length === 4 ? 'filter' : 'plain';
    parameters.push(graph.variable(name, { shape, format }));
    gradients.push(graph.input(`grad.${name}`, { shape, format }));
  }
  sgd(options).update(graph, parameters, gradients, learningRate);
  return graph;
}

const names = (values: readonly Value[] | undefined) => values?.map(({ name }) => name);

describe('sgd', () => {
  it('updates everything in one node, its state named by the parameters', () => {
    const { nodes } = update({ momentum: 0.9, nesterov: true, weightDecay: 1e-4 });
    expect(nodes).toHaveLength(1);
    expect(nodes[0]).toMatchObject({
      op: 'sgd_update',
      attributes: { momentum: 0.9, nesterov: true, weight_decay: 1e-4, scaled: false },
    });
    expect(names(nodes[0]?.inputs)).toEqual([
      'learning_rate',
      'grad.conv.weight',
      'grad.bn.weight',
      'grad.fc.weight',
      'grad.fc.bias',
    ]);
    expect(names(nodes[0]?.outputs)).toEqual([
      'conv.weight',
      'bn.weight',
      'fc.weight',
      'fc.bias',
      'optimizer.momentum.conv.weight',
      'optimizer.momentum.bn.weight',
      'optimizer.momentum.fc.weight',
      'optimizer.momentum.fc.bias',
    ]);
    expect(nodes[0]?.outputs[4]).toMatchObject({ format: 'filter', shape: [4, 3, 3, 3] });
  });

  it('splits by the decay rule', () => {
    const { nodes } = update({ weightDecay: 0.1, decay: noBiasNoNorm });
    expect(nodes.map(({ outputs }) => names(outputs))).toEqual([
      ['conv.weight', 'fc.weight'],
      ['bn.weight', 'fc.bias'],
    ]);
    expect(nodes.map(({ attributes }) => attributes.weight_decay)).toEqual([0.1, 0]);
  });

  it('has rates by name', () => {
    const { nodes } = update({ momentum: 0.9, lrFactor: (name) => (name.startsWith('fc') ? 10 : 1) });
    const updates = nodes.filter(({ op }) => op === 'sgd_update');
    expect(updates.map(({ outputs }) => names(outputs)?.slice(0, 2))).toEqual([
      ['conv.weight', 'bn.weight'],
      ['fc.weight', 'fc.bias'],
    ]);
    const [common, own] = updates.map(({ inputs }) => inputs[0]);
    expect(common?.name).toBe('learning_rate');
    expect(own?.producer).toMatchObject({ op: 'weighted_sum', inputs: [common], attributes: { weights: [10] } });
    expect(() => update({ lrFactor: () => 0 })).toThrow(
      "lrFactor of 'conv.weight' must be a finite number above 0, got 0",
    );
  });

  it('clips by the common norm', () => {
    const graph = update({ maxNorm: 2, weightDecay: 0.1, decay: noBiasNoNorm });
    const [clip, ...updates] = graph.nodes;
    expect(clip).toMatchObject({ op: 'clip_grad_norm', attributes: { max_norm: 2 } });
    expect(clip?.inputs).toHaveLength(4);
    expect(updates.map(({ inputs }) => inputs[1]?.name)).toEqual(['clip_grad_norm_1', 'clip_grad_norm_1']);
    expect(updates.every(({ attributes }) => attributes.scaled === true)).toBe(true);
    expect(graph.find('gradient_norm').producer).toBe(clip);
  });

  it.each<[string, SgdOptions]>([
    ['sgd: momentum must be from 0 to below 1, got 1', { momentum: 1 }],
    ['sgd: momentum must be from 0 to below 1, got NaN', { momentum: Number.NaN }],
    ['sgd: momentum must be above 0 for nesterov, got 0', { nesterov: true }],
    ['sgd: weightDecay must be a finite number of at least 0, got -1', { weightDecay: -1 }],
    ['sgd: weightDecay must be a finite number of at least 0, got Infinity', { weightDecay: Number.POSITIVE_INFINITY }],
    ['sgd: maxNorm must be a finite number above 0, got 0', { maxNorm: 0 }],
  ])('%s', (text, options) => {
    expect(() => sgd(options)).toThrow(text);
  });
});
