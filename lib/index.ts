// The public names.
export * from './data/index.ts';
export * from './formats/index.ts';
export {
  ArgumentError,
  autocast,
  type DType,
  type Format,
  fusions,
  Graph,
  type GraphOptions,
  gradient,
  graphText,
  type HostArray,
  type Node,
  type Shape,
  ShapeError,
  type Value,
  type ValueType,
} from './graph/index.ts';
export * from './models/index.ts';
export * from './nn/index.ts';
export * as ops from './ops/index.ts';
export * from './optim/index.ts';
export type { Plan, PlanRow, ProfileRow } from './plan.ts';
export {
  type CompileOptions,
  compile,
  Device,
  type DeviceOptions,
  type Inputs,
  Program,
  State,
  type VariableSpec,
  variablesOf,
} from './program.ts';
export * from './train/index.ts';
