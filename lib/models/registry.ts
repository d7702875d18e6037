// Models by the names that the command line and checkpoints know.
import { ArgumentError, checkOptions, closest } from '../graph/index.ts';
import { cifarPlain, cifarResNet } from './cifar-resnet.ts';
import type { Classifier } from './classifier.ts';
import { highway19 } from './highway.ts';
import { inceptionV1 } from './inception-v1.ts';
import { inceptionV2 } from './inception-v2.ts';
import { resnet18, resnet34, resnet50, resnet101, resnet152 } from './resnet.ts';
import { resnet50V2, resnet101V2, resnet152V2, resnet200V2 } from './resnet-v2.ts';
import { resnet18Small } from './resnet18-small.ts';
import { sigmoidMlp } from './sigmoid-mlp.ts';

export interface ModelOptions {
  readonly numClasses?: number;
  readonly inChannels?: number;
  /** Share that dropout zeroes in front of the last layer. Default: the network's own; more than 0 only where it has dropout. */
  readonly dropout?: number;
  /** Of the Inception networks: heads whose losses training adds. Default false. */
  readonly auxiliaryHeads?: boolean;
  /** Of square pictures; only auxiliary heads must know it. Default: what the network was made for. */
  readonly imageSize?: number;
}

type Build = (options: ModelOptions) => Classifier;

/** What a model is made for; other sizes and numbers of classes work as far as its shapes allow. */
export interface ModelDefaults {
  readonly imageSize: number;
  readonly numClasses: number;
  /** How pictures were prepared for the weights that people have of it; undefined where none are published. */
  readonly published?: PublishedTransform;
}

/** As in timm: the shorter side at imageSize / cropPct, the centre cut out, then (pixel / 255 - mean) / std. */
export interface PublishedTransform {
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly cropPct: number;
  readonly interpolation: 'bilinear' | 'bicubic';
}

/** Of torchvision's first weights (IMAGENET1K_V1). */
const torchvision: PublishedTransform = {
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  cropPct: 0.875,
  interpolation: 'bilinear',
};

/** Of timm's resnetv2_50.a1h_in1k and resnetv2_101.a1h_in1k. */
const timm: PublishedTransform = {
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
  cropPct: 0.95,
  interpolation: 'bicubic',
};

interface Entry extends ModelDefaults {
  readonly build: Build;
  /** Has dropout, and auxiliary heads on request. */
  readonly inception?: boolean;
}

const depths = [20, 32, 44, 56, 110];

const models: ReadonlyMap<string, Entry> = new Map<string, Entry>([
  ...depths.flatMap((depth) => [
    cifar(`cifar-resnet${depth}`, (options) => cifarResNet({ ...options, depth })),
    cifar(`cifar-resnet${depth}-preact`, (options) => cifarResNet({ ...options, depth, preActivation: true })),
    cifar(`cifar-plain${depth}`, (options) => cifarPlain({ ...options, depth })),
  ]),
  cifar('resnet18-small', resnet18Small),
  cifar('highway19', highway19),
  digits('sigmoid-mlp', sigmoidMlp),
  digits('sigmoid-mlp-bn', (options) => sigmoidMlp({ ...options, batchNorm: true })),
  inception('inception-v1', inceptionV1),
  inception('inception-v2', inceptionV2),
  inception('inception-v2-sigmoid', (options) => inceptionV2({ ...options, activation: 'sigmoid' })),
  inception('inception-v2-tfslim', (options) => inceptionV2({ ...options, variant: 'tfslim', stem: 'separable' })),
  imageNet('resnet18', resnet18, torchvision),
  imageNet('resnet34', resnet34, torchvision),
  ...Object.entries({ resnet50, resnet101, resnet152 }).flatMap(([name, build]) => [
    imageNet(name, build, torchvision),
    imageNet(`${name}-v1`, (options) => build({ ...options, variant: 'v1' })),
  ]),
  imageNet('resnet50-v2', resnet50V2),
  imageNet('resnet101-v2', resnet101V2),
  imageNet('resnet152-v2', resnet152V2),
  imageNet('resnet200-v2', resnet200V2),
  imageNet('resnetv2_50', (options) => resnet50V2({ ...options, variant: 'timm' }), timm),
  imageNet('resnetv2_101', (options) => resnet101V2({ ...options, variant: 'timm' }), timm),
]);

function cifar(name: string, build: Build): [string, Entry] {
  return [name, { build, imageSize: 32, numClasses: 10 }];
}

function digits(name: string, build: Build): [string, Entry] {
  return [name, { build, imageSize: 28, numClasses: 10 }];
}

function imageNet(name: string, build: Build, published?: PublishedTransform): [string, Entry] {
  return [name, { build, imageSize: 224, numClasses: 1000, ...(published && { published }) }];
}

function inception(name: string, build: Build): [string, Entry] {
  return [name, { build, imageSize: 224, numClasses: 1000, inception: true }];
}

export function modelNames(): string[] {
  return [...models.keys()];
}

export function modelDefaults(name: string): ModelDefaults {
  const { build: _, inception: __, ...defaults } = entry(name);
  return defaults;
}

export function createModel(name: string, options: ModelOptions = {}): Classifier {
  const { build, inception: own = false } = entry(name);
  checkOptions('createModel', options, ['numClasses', 'inChannels', 'dropout', 'auxiliaryHeads', 'imageSize']);
  if (own) return build(options);
  const { dropout = 0, auxiliaryHeads = false, imageSize: _, ...others } = options;
  if (dropout === 0 && !auxiliaryHeads) return build(others);
  const lacking = auxiliaryHeads ? 'auxiliary heads' : `dropout to set to ${dropout}`;
  const those = [...models].flatMap(([other, one]) => (one.inception ? [other] : []));
  throw new ArgumentError(`${name} has no ${lacking}; these have: ${those.join(', ')}`);
}

function entry(name: string): Entry {
  const found = models.get(name);
  if (found) return found;
  const [nearest] = closest(name, models.keys(), 1);
  throw new ArgumentError(`no model is called '${name}'; did you mean '${nearest}'? All: ${modelNames().join(', ')}`);
}
