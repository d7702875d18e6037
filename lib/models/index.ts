export { type CifarResNetOptions, cifarResNet } from './cifar-resnet.ts';
export { createModel, type ModelOptions, modelNames } from './registry.ts';
export { type ResNet18SmallOptions, resnet18Small } from './resnet18-small.ts';
