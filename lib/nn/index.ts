export { BatchNorm2d, type BatchNorm2dOptions } from './batch_norm.ts';
export { Conv2d, type Conv2dOptions } from './conv.ts';
export { Dropout } from './dropout.ts';
export { Add, Concat, Flatten, Identity, ReLU, Sigmoid, Softmax, Tanh } from './elementwise.ts';
export { Highway, type HighwayOptions } from './highway.ts';
export type { Initialiser } from './init.ts';
export * as init from './init.ts';
export { Linear, type LinearOptions } from './linear.ts';
export { LocalResponseNorm } from './local_response_norm.ts';
export { Buffer, Module, Parameter, Sequential, type TensorOptions } from './module.ts';
export { AvgPool2d, GlobalAvgPool, MaxPool2d } from './pool.ts';
export {
  DepthwiseConv2d,
  type DepthwiseConv2dOptions,
  SeparableConv2d,
  type SeparableConv2dOptions,
} from './separable_conv.ts';
export { type EndPoint, type LayerSummary, type ModelSummary, summarise } from './summary.ts';
