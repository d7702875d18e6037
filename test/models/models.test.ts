import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { elements, Graph } from '../../lib/graph/index.ts';
import {
  cifarResNet,
  createModel,
  inceptionV1,
  inceptionV2,
  modelDefaults,
  modelNames,
  resnet50,
} from '../../lib/models/index.ts';
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
    // tf-slim publishes no weights of resnet_v2_200; its units (nets/resnet_v2.py: 3, 24, 36, 3) counted by PyTorch.
    ['resnet200-v2', 64_726_120],
    // Caffe's bvlc_googlenet without its training heads.
    ['inception-v1', 6_998_552],
  ])('of %s number %i as published', (name, parameters) => {
    expect(countOf(name)).toBe(parameters);
  });

  it('of inception-v1 with its heads number 13,378,280, as in Caffe', () => {
    expect(summarise(inceptionV1({ auxiliaryHeads: true }), [1, 3, 224, 224]).parameters).toBe(13_378_280);
  });

  // Its heads are those of GoogLeNet with BN (two numbers a channel) in the place of the convolution's bias.
  it.each([
    ['aux1', 576],
    ['aux2', 608],
  ])('of the head %s of inception-v2 follow from its definition', (name, channels) => {
    const own = inceptionV2({ auxiliaryHeads: true }).namedParameters();
    const count = own.reduce((sum, [path, { shape }]) => sum + (path.startsWith(`${name}.`) ? elements(shape) : 0), 0);
    expect(count).toBe(channels * 128 + 2 * 128 + (2048 * 1024 + 1024) + (1024 * 1000 + 1000));
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

describe('Inception-v2', () => {
  const base = (name: string) => {
    const model = createModel(name);
    const tensors = [...model.namedParameters(), ...model.namedBuffers()].filter(([path]) => !path.startsWith('fc.'));
    return tensors.reduce((sum, [path, { shape }]) => sum + (path.endsWith('bn.weight') ? 0 : elements(shape)), 0);
  };

  // tf-slim, nets/inception_v2_test.py: its variables include running statistics, and its BN has no scale.
  it('has the 10,173,112 numbers of tf-slim in front of the last layer', () => {
    expect(base('inception-v2-tfslim')).toBe(10_173_112);
  });

  // tf-slim, nets/inception_v2_test.py, testBuildAndCheckAllEndPointsUptoMixed5c.
  it.each(['inception-v2', 'inception-v2-tfslim'])('%s has its 15 end points of these shapes', (name) => {
    const tfslim = name === 'inception-v2-tfslim';
    const { endPoints } = summarise(createModel(name), [1, 3, 224, 224]);
    expect(endPoints.slice(0, 15).map((point) => [point.name, ...point.shape.slice(1)])).toEqual([
      ['conv1', 64, 112, 112],
      ['maxpool1', 64, 56, 56],
      ['conv2', 64, 56, 56],
      ['conv3', 192, 56, 56],
      ['maxpool2', 192, 28, 28],
      ['inception3a', 256, 28, 28],
      ['inception3b', 320, 28, 28],
      ['inception3c', 576, 14, 14],
      ['inception4a', 576, 14, 14],
      ['inception4b', 576, 14, 14],
      ['inception4c', tfslim ? 576 : 608, 14, 14],
      ['inception4d', tfslim ? 576 : 608, 14, 14],
      ['inception4e', tfslim ? 1024 : 1056, 7, 7],
      ['inception5a', 1024, 7, 7],
      ['inception5b', 1024, 7, 7],
    ]);
  });

  it('has auxiliary heads in training graphs alone', () => {
    const model = inceptionV2({ auxiliaryHeads: true, numClasses: 7 }).replaceHead(5);
    expect(model.auxiliary).toEqual({ aux1: 0.3, aux2: 0.3 });
    const [training, inference] = [true, false].map((value) => {
      const graph = new Graph({ training: value });
      model.call(graph.input('x', { shape: [2, 3, 224, 224], format: 'activation' }));
      return graph;
    }) as [Graph, Graph];
    expect(['aux1', 'aux2'].map((name) => training.find(name).shape)).toEqual([
      [2, 5],
      [2, 5],
    ]);
    expect(['aux1', 'aux2'].some((name) => inference.has(name))).toBe(false);
    expect(training.find('aux1.fc1.weight').shape).toEqual([1024, 2048]);
  });

  it('refuses what it does not know', () => {
    expect(() => inceptionV2({ activation: 'tanh' as 'relu' })).toThrow(
      "inceptionV2: activation must be 'relu' or 'sigmoid', got tanh",
    );
  });
});

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
      const size = Math.min(modelDefaults(name).imageSize, 64);
      const logits = model.call(graph.input('x', { shape: [2, 1, size, size], format: 'activation' }));
      expect(logits.shape, name).toEqual([2, 7]);
    }
  });

  it('sets the dropout in front of the last layer', () => {
    const shares = (dropout?: number) => {
      const graph = new Graph({ training: true });
      const model = createModel('inception-v2', { numClasses: 7, ...(dropout !== undefined && { dropout }) });
      model.call(graph.input('x', { shape: [2, 3, 32, 32], format: 'activation' }));
      return graph.nodes.flatMap(({ op, attributes }) => (op === 'dropout' ? [attributes.p] : []));
    };
    expect([shares(), shares(0.5), shares(0)]).toEqual([[0.2], [0.5], []]);
    expect(countOf('resnet18')).toBe(
      createModel('resnet18', { dropout: 0 })
        .namedParameters()
        .reduce((sum, [, { shape }]) => sum + elements(shape), 0),
    );
    expect(() => createModel('resnet18', { dropout: 0.2 })).toThrow(
      'resnet18 has no dropout to set to 0.2; these have: inception-v1, inception-v2, inception-v2-sigmoid',
    );
  });

  it('adds auxiliary heads where there are such', () => {
    const names = (options: object) =>
      createModel('inception-v2', { numClasses: 7, ...options })
        .children()
        .map(([name]) => name)
        .filter((name) => name.startsWith('aux'));
    expect([names({}), names({ auxiliaryHeads: true, imageSize: 65 })]).toEqual([[], ['aux1', 'aux2']]);
    expect(() => createModel('inception-v1', { auxiliaryHeads: true, imageSize: 64 })).toThrow(
      'pictures of 64x64 are too small: give 65x65 or more',
    );
    expect(() => createModel('resnet18', { auxiliaryHeads: true })).toThrow(
      'resnet18 has no auxiliary heads; these have: inception-v1, inception-v2, inception-v2-sigmoid',
    );
    expect(createModel('resnet18', { imageSize: 64 }).auxiliary).toEqual({});
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

  it('is as wide as asked', () => {
    const shapes = cifarResNet({ depth: 8, widthMultiplier: 0.5 }).namedParameters();
    expect(shapes.filter(([name]) => /conv2|^fc.weight/.test(name)).map(([, { shape }]) => shape)).toEqual([
      [8, 8, 3, 3],
      [16, 16, 3, 3],
      [32, 32, 3, 3],
      [10, 32],
    ]);
  });

  it('refuses an unknown shortcut', () => {
    expect(() => cifarResNet({ depth: 20, shortcut: 'C' as 'A' })).toThrow("shortcut must be 'A' or 'B', got C");
  });
});
