// Models by the names that the command line and checkpoints know.
import { ArgumentError, checkOptions, closest } from '../graph/index.ts';
import type { Module } from '../nn/index.ts';
import { cifarPlain, cifarResNet } from './cifar-resnet.ts';
import { resnet18, resnet34, resnet50, resnet101, resnet152 } from './resnet.ts';
import { resnet50V2, resnet101V2, resnet152V2, resnet200V2 } from './resnet-v2.ts';
import { resnet18Small } from './resnet18-small.ts';

export interface ModelOptions {
  readonly numClasses?: number;
  readonly inChannels?: number;
}

type Build = (options: ModelOptions) => Module;

/** What a model is made for; other sizes and numbers of classes work as far as its shapes allow. */
export interface ModelDefaults {
  readonly imageSize: number;
  readonly numClasses: number;
}

interface Entry extends ModelDefaults {
  readonly build: Build;
}

const depths = [20, 32, 44, 56, 110];

const models: ReadonlyMap<string, Entry> = new Map<string, Entry>([
  ...depths.flatMap((depth) => [
    cifar(`cifar-resnet${depth}`, (options) => cifarResNet({ ...options, depth })),
    cifar(`cifar-resnet${depth}-preact`, (options) => cifarResNet({ ...options, depth, preActivation: true })),
    cifar(`cifar-plain${depth}`, (options) => cifarPlain({ ...options, depth })),
  ]),
  cifar('resnet18-small', resnet18Small),
  imageNet('resnet18', resnet18),
  imageNet('resnet34', resnet34),
  ...Object.entries({ resnet50, resnet101, resnet152 }).flatMap(([name, build]) => [
    imageNet(name, build),
    imageNet(`${name}-v1`, (options) => build({ ...options, variant: 'v1' })),
  ]),
  imageNet('resnet50-v2', resnet50V2),
  imageNet('resnet101-v2', resnet101V2),
  imageNet('resnet152-v2', resnet152V2),
  imageNet('resnet200-v2', resnet200V2),
  imageNet('resnetv2_50', (options) => resnet50V2({ ...options, variant: 'timm' })),
  imageNet('resnetv2_101', (options) => resnet101V2({ ...options, variant: 'timm' })),
]);

function cifar(name: string, build: Build): [string, Entry] {
  return [name, { build, imageSize: 32, numClasses: 10 }];
}

function imageNet(name: string, build: Build): [string, Entry] {
  return [name, { build, imageSize: 224, numClasses: 1000 }];
}

export function modelNames(): string[] {
  return [...models.keys()];
}

export function modelDefaults(name: string): ModelDefaults {
  const { imageSize, numClasses } = entry(name);
  return { imageSize, numClasses };
}

export function createModel(name: string, options: ModelOptions = {}): Module {
  const { build } = entry(name);
  checkOptions('createModel', options, ['numClasses', 'inChannels']);
  return build(options);
}

function entry(name: string): Entry {
  const found = models.get(name);
  if (found) return found;
  const [nearest] = closest(name, models.keys(), 1);
  throw new ArgumentError(`no model is called '${name}'; did you mean '${nearest}'? All: ${modelNames().join(', ')}`);
}
