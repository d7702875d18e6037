// Models by the names that the command line and checkpoints know.
import { ArgumentError, checkOptions, closest } from '../graph/index.ts';
import type { Module } from '../nn/index.ts';
import { cifarResNet } from './cifar-resnet.ts';
import { resnet18Small } from './resnet18-small.ts';

export interface ModelOptions {
  readonly numClasses?: number;
  readonly inChannels?: number;
}

type Build = (options: ModelOptions) => Module;

const depths = [20, 32, 44, 56, 110];

const models: ReadonlyMap<string, Build> = new Map<string, Build>([
  ...depths.flatMap((depth): [string, Build][] => [
    [`cifar-resnet${depth}`, (options) => cifarResNet({ ...options, depth })],
    [`cifar-resnet${depth}-preact`, (options) => cifarResNet({ ...options, depth, preActivation: true })],
  ]),
  ['resnet18-small', resnet18Small],
]);

export function modelNames(): string[] {
  return [...models.keys()];
}

export function createModel(name: string, options: ModelOptions = {}): Module {
  const build = models.get(name);
  if (!build) {
    const [nearest] = closest(name, models.keys(), 1);
    throw new ArgumentError(`no model is called '${name}'; did you mean '${nearest}'? All: ${modelNames().join(', ')}`);
  }
  checkOptions('createModel', options, ['numClasses', 'inChannels']);
  return build(options);
}
