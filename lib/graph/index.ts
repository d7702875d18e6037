export { autocast } from './autocast.ts';
export { ArgumentError, checkOptions, closest, ShapeError } from './errors.ts';
export { type Choose, fuse, fusions, type Group, lower } from './fuse.ts';
export { gradient } from './gradient.ts';
export {
  type Attribute,
  type Attributes,
  Graph,
  type GraphOptions,
  type Initial,
  type InputOptions,
  type Node,
  type Value,
  type VariableOptions,
} from './graph.ts';
export { bytesText, graphText, structureText, table } from './print.ts';
export {
  defineOp,
  type Folding,
  type GradientRule,
  type Match,
  multiplyAdds,
  type OpRule,
  ruleOf,
  type Target,
} from './registry.ts';
export { copy, type Excerpt, outputsOf, producedBy, readersOf, rewrite } from './rewrite.ts';
export {
  type DType,
  denseBytes,
  elements,
  type Format,
  type HostArray,
  hostArrayOf,
  isFloat,
  type Shape,
  sameShape,
  sameType,
  shapeText,
  typeOf,
  typeText,
  type ValueType,
} from './types.ts';
