export { type CifarPlainOptions, type CifarResNetOptions, cifarPlain, cifarResNet } from './cifar-resnet.ts';
export { createModel, type ModelDefaults, type ModelOptions, modelDefaults, modelNames } from './registry.ts';
export {
  type BottleneckResNetOptions,
  ResNet,
  type ResNetOptions,
  resnet18,
  resnet34,
  resnet50,
  resnet101,
  resnet152,
} from './resnet.ts';
export { type ResNet18SmallOptions, resnet18Small } from './resnet18-small.ts';
