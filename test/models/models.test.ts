import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { elements, Graph } from '../../lib/graph/index.ts';
import { cifarResNet, createModel, modelNames, resnet50 } from '../../lib/models/index.ts';
import { type Module, summarise } from '../../lib/nn/index.ts';

interface Count {
  readonly parameters: number;
  readonly sha256: string;
}

const golden = (name: string) =>
  JSON.parse(readFileSync(new URL(`../goldens/${name}.json`, import.meta.url), 'utf8')).content;
const torch = golden('parameter-names') as Record<string, Record<string, number[]>>;
const counts = golden('parameter-counts') as Record<string, Count>;

describe('parameters', () => {
  it.each(Object.keys(torch))('of %s are named and shaped as in PyTorch, in the same order', (name) => {
    const ours = createModel(name)
      .namedParameters()
      .map(([key, { shape }]) => [key, shape]);
    expect(ours).toEqual(Object.entries(torch[name] as object));
  });

  it.each(Object.keys(counts))('of %s are those of torchvision or timm: names, order and shapes', (name) => {
    const parameters = createModel(name).namedParameters();
    const lines = parameters.map(([key, { shape }]) => `${key}[${shape}]`);
    const { parameters: count, sha256 } = counts[name] as Count;
    expect(countOf(name)).toBe(count);
    expect(createHash('sha256').update(lines.join('\n')).digest('hex')).toBe(sha256);
  });

  it.each([
    // torchvision, "Models and pre-trained weights", num_params of each network's weights.
    ['resnet18', 11_689_512],
    ['resnet34', 21_797_672],
    ['resnet50', 25_557_032],
    ['resnet50-v1', 25_557_032],
    ['resnet101', 44_549_160],
    ['resnet152', 60_192_808],
    // timm, results of its own benchmark: 25.55 and 44.54 million.
    ['resnetv2_50', 25_549_352],
    ['resnetv2_101', 44_541_480],
    // Keras Applications, ResNet50V2 and ResNet101V2, "Trainable params": tf-slim's networks with their biases.
    ['resnet50-v2', 25_568_360],
    ['resnet101-v2', 44_577_896],
  ])('of %s number %i as published', (name, parameters) => {
    expect(countOf(name)).toBe(parameters);
  });

  it('of resnet152-v2 with its running statistics number 60,380,648, as Keras Applications counts', () => {
    const tensors = [...createModel('resnet152-v2').namedParameters(), ...createModel('resnet152-v2').namedBuffers()];
    expect(tensors.reduce((sum, [, { shape }]) => sum + elements(shape), 0)).toBe(60_380_648);
  });

  // He et al. 2015, table 6: 0.27, 0.46, 0.66, 0.85 and 1.7 million; to the last digit as counted by
  // Y. Idelbayev, "Proper ResNet implementation for CIFAR10 in PyTorch".
  it.each([
    [20, 269_722],
    [32, 464_154],
    [44, 658_586],
    [56, 853_018],
    [110, 1_727_962],
  ])('of depth %i number %i', (depth, parameters) => {
    expect(summarise(cifarResNet({ depth }), [1, 3, 32, 32]).parameters).toBe(parameters);
  });
});

function countOf(name: string): number {
  return createModel(name)
    .namedParameters()
    .reduce((sum, [, { shape }]) => sum + elements(shape), 0);
}

describe('summarise', () => {
  it('counts ResNet-20', () => {
    const summary = summarise(cifarResNet({ depth: 20 }), [1, 3, 32, 32]);
    // 40.55 million multiply-adds: conv1 442,368; 6, 5 and 5 convolutions of 2,359,296, two of half that; fc 640.
    expect(summary.multiplyAdds).toBe(442_368 + 16 * 2_359_296 + 2 * 1_179_648 + 640);
    expect(summary.buffers).toBe(2 * (7 * 16 + 6 * 32 + 6 * 64));
    expect(summary.layers.find(({ name }) => name === 'layer2.0.conv1')).toEqual({
      name: 'layer2.0.conv1',
      type: 'Conv2d',
      outputShape: [1, 32, 16, 16],
      parameters: 4608,
    });
    expect(summary.layers.reduce((sum, { parameters }) => sum + parameters, 0)).toBe(summary.parameters);
    expect(summary.layers.at(-1)).toMatchObject({ name: 'fc', outputShape: [1, 10] });
  });
});

describe('createModel', () => {
  it('builds every model that it lists', () => {
    for (const name of modelNames()) {
      const graph = new Graph({ training: true });
      const model = createModel(name, { numClasses: 7, inChannels: 1 });
      const logits = model.call(graph.input('x', { shape: [2, 1, 32, 32], format: 'activation' }));
      expect(logits.shape, name).toEqual([2, 7]);
    }
  });

  it('helps with a misspelt name', () => {
    expect(() => createModel('cifar-resnet33')).toThrow(
      "no model is called 'cifar-resnet33'; did you mean 'cifar-resnet32'?",
    );
  });
});

describe('resnet50', () => {
  it('refuses an unknown variant', () => {
    expect(() => resnet50({ variant: 'v2' as 'v1' })).toThrow("resnet50: variant must be 'v1' or 'v1.5', got v2");
  });

  it('can begin with blocks that are their shortcuts', () => {
    const norms = (model: Module) =>
      model
        .namedParameters()
        .filter(([name]) => /bn\d\.weight/.test(name))
        .filter(([, { initialiser, shape }]) => initialiser(shape, undefined as never)() === 0)
        .map(([name]) => name);
    expect(norms(resnet50())).toEqual([]);
    const blocks = [3, 4, 6, 3].flatMap((count, i) => Array.from({ length: count }, (_, j) => `layer${i + 1}.${j}`));
    expect(norms(resnet50({ zeroInitResidual: true }))).toEqual(blocks.map((block) => `${block}.bn3.weight`));
  });
});

describe('cifarResNet', () => {
  it.each([[21], [2], [0], [Number.NaN], ['20']])('refuses depth %s', (depth) => {
    expect(() => cifarResNet({ depth: depth as number })).toThrow('cifarResNet: depth must be 6n + 2');
  });

  it('refuses an unknown shortcut', () => {
    expect(() => cifarResNet({ depth: 20, shortcut: 'C' as 'A' })).toThrow("shortcut must be 'A' or 'B', got C");
  });
});
