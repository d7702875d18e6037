import { describe, expect, it } from 'vitest';
import { Graph } from '../../lib/graph/index.ts';
import { createModel } from '../../lib/models/index.ts';

const trained = (model: ReturnType<typeof createModel>) =>
  model.namedParameters().flatMap(([name, { requiresGrad }]) => (requiresGrad ? [name.replace(/\..*/, '')] : []));

describe('freeze', () => {
  it('takes the named parts out of training', () => {
    const model = createModel('resnet18').freeze('conv1', 'layer1', 'layer2.0');
    expect(new Set(trained(model))).toEqual(new Set(['bn1', 'layer2', 'layer3', 'layer4', 'fc']));
    expect(model.namedParameters().find(([name]) => name === 'layer2.0.conv1.weight')?.[1].requiresGrad).toBe(false);
    expect(model.namedParameters().find(([name]) => name === 'layer2.1.conv1.weight')?.[1].requiresGrad).toBe(true);
  });

  it('gives frozen batch normalisation its running statistics, and the frozen part no backward pass', () => {
    const model = createModel('resnet18').freezeUntil('layer4');
    const graph = new Graph({ training: true });
    model.call(graph.input('x', { shape: [2, 3, 32, 32], format: 'activation' }));
    const norms = graph.nodes.filter(({ op }) => op.startsWith('batch_norm'));
    expect(norms.filter(({ op }) => op === 'batch_norm').every(({ path }) => path.startsWith('layer4'))).toBe(true);
    expect(norms.filter(({ op }) => op === 'batch_norm_inference')).toHaveLength(15);
  });

  it('freezes all of a model, and all before a nested part', () => {
    expect(trained(createModel('resnet18').freeze())).toEqual([]);
    const model = createModel('resnetv2_50').freezeUntil('stages.2');
    const frozen = model.namedParameters().filter(([, { requiresGrad }]) => !requiresGrad);
    expect(frozen.every(([name]) => /^(stem|stages\.[01])\./.test(name))).toBe(true);
    expect(frozen).toHaveLength(1 + (3 + 4) * 9 + 2);
  });

  it('names what is near', () => {
    expect(() => createModel('resnet18').freeze('layer5')).toThrow(
      "freeze: no part of the model is called 'layer5'; the nearest names: 'layer",
    );
  });
});

describe('replaceHead', () => {
  it.each([
    ['resnet18', 'fc.weight', [7, 512]],
    ['cifar-resnet20', 'fc.weight', [7, 64]],
    ['resnetv2_50', 'head.fc.weight', [7, 2048, 1, 1]],
  ])('of %s changes %s', (name, head, shape) => {
    const model = createModel(name).replaceHead(7);
    expect(new Map(model.namedParameters()).get(head)?.shape).toEqual(shape);
    const graph = new Graph();
    expect(model.call(graph.input('x', { shape: [2, 3, 32, 32], format: 'activation' })).shape).toEqual([2, 7]);
  });
});

describe('endPoints', () => {
  it.each(['resnet50', 'resnet50-v2', 'cifar-resnet20'])('of %s are all in its graph', (name) => {
    const model = createModel(name);
    const graph = new Graph();
    model.call(graph.input('x', { shape: [1, 3, 64, 64], format: 'activation' }));
    expect(model.endPoints.filter((point) => !graph.has(point))).toEqual([]);
  });

  it('of ResNet-50 are those that torchvision has children for', () => {
    expect(createModel('resnet50').endPoints).toEqual([
      'conv1',
      'bn1',
      'relu',
      'maxpool',
      'layer1',
      'layer2',
      'layer3',
      'layer4',
      'avgpool',
      'fc',
    ]);
  });
});
