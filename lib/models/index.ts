export { type CifarPlainOptions, type CifarResNetOptions, cifarPlain, cifarResNet } from './cifar-resnet.ts';
export { Classifier } from './classifier.ts';
export { type HighwayOptions as Highway19Options, highway19 } from './highway.ts';
export { InceptionV1, type InceptionV1Options, inceptionV1 } from './inception-v1.ts';
export { InceptionV2, type InceptionV2Options, inceptionV2 } from './inception-v2.ts';
export {
  createModel,
  type ModelDefaults,
  type ModelOptions,
  modelDefaults,
  modelNames,
  type PublishedTransform,
} from './registry.ts';
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
export {
  ResNetV2,
  type ResNetV2Options,
  resnet50V2,
  resnet101V2,
  resnet152V2,
  resnet200V2,
  type TimmResNetV2Options,
} from './resnet-v2.ts';
export { type ResNet18SmallOptions, resnet18Small } from './resnet18-small.ts';
export { type SigmoidMlpOptions, sigmoidMlp } from './sigmoid-mlp.ts';
