// Convolution that sums up its output for the normalisation behind it, and its gradient that sums up for the gradient of the
// normalisation before it; only fuse() emits them, in training in half precision.
import {
  type Attributes,
  type DType,
  defineOp,
  type Folding,
  type Node,
  outputsOf,
  producedBy,
  type Target,
  typeOf,
  type Value,
  type ValueType,
} from '../graph/index.ts';
import { activatedOf } from './batch_norm_fused.ts';
import { multiplyAdds } from './conv.ts';
import { reluGrad } from './relu.ts';

/** Where cuDNN has engines for it on every chip. */
function hasSums(x: Value, y: Value, { padding }: Attributes): boolean {
  const [top, left, bottom, right] = padding as readonly number[];
  const inEights = [x, y].every(({ shape: [, channels = 0] }) => channels % 8 === 0);
  return isHalf(y.dtype) && inEights && top === bottom && left === right;
}

function isHalf(dtype: DType): boolean {
  return dtype === 'float16' || dtype === 'bfloat16';
}

/** conv2d without a bias -> batch_norm, found from the latter; gradients read what stands between them, which stays. */
function convNorm(norm: Node): Folding | undefined {
  const conv = norm.op === 'batch_norm' ? producedBy(norm.inputs[0], 'conv2d') : undefined;
  const [x, w, bias] = conv?.inputs ?? [];
  const y = conv?.outputs[0];
  if (!conv || !x || !w || !y || bias || !hasSums(x, y, conv.attributes)) return undefined;
  const [, ...parameters] = norm.inputs;
  return {
    nodes: [conv, norm],
    inputs: [x, w, ...parameters],
    outputs: [y, ...norm.outputs],
    emit: (target) => summed(target, conv, norm),
  };
}

function summed(target: Target, conv: Node, norm: Node): Value[] {
  const { graph, map } = target;
  const [, weight, bias] = norm.inputs as readonly [Value, Value, Value];
  const types = [typeOf(norm.inputs[0] as Value), typeOf(weight), typeOf(weight)];
  const sums = graph.emit('conv2d_statistics', conv.inputs.map(map), types, conv.attributes);
  const [y, sum, squareSum] = sums as [Value, Value, Value];
  const inputs = [y, map(weight), map(bias), sum, squareSum];
  return [y, ...graph.emit('batch_norm_summed', inputs, outputsOf(norm, target), norm.attributes)];
}

/** Without the sums, which nobody reads where batch_norm_summed is lowered as well. */
function lower(node: Node, { graph, map }: Target): Value[] {
  return graph.emit('conv2d', node.inputs.map(map), [typeOf(node.outputs[0] as Value)], node.attributes);
}

/** conv2d_dgrad -> batch_norm_relu_grad, found from the latter. In bfloat16 cuDNN sums up where no pixel is left out. */
function dgradNorm(last: Node): readonly Folding[] | undefined {
  const [dx, ...normalised] = last.op === 'batch_norm_relu_grad' ? last.inputs : [];
  const dgrad = producedBy(dx, 'conv2d_dgrad');
  const [dy, w] = dgrad?.inputs ?? [];
  if (!dgrad || !dx || !dy || !w) return undefined;
  const { groups, stride } = dgrad.attributes;
  const isDense = (stride as readonly number[]).every((step) => step === 1);
  if (!hasSums(dy, dx, dgrad.attributes) || groups !== 1 || (dx.dtype === 'bfloat16' && !isDense)) return undefined;
  const inputs = [dy, w, ...normalised];
  const emit = (target: Target) => summedGradient(target, inputs, last, dgrad);
  return [{ nodes: [dgrad, last], inputs, outputs: last.outputs, emit }];
}

function summedGradient({ graph, map }: Target, inputs: readonly Value[], last: Node, dgrad: Node): Value[] {
  const given = inputs.map(map);
  const [, , x, weight, , mean, invstd] = given as [Value, Value, Value, Value, Value, Value, Value];
  const types = last.outputs.map(typeOf);
  const summed = graph.emit('conv2d_dgrad_statistics', given, types, dgrad.attributes);
  const [masked, dweight, dbias] = summed as [Value, Value, Value];
  const rest = [masked, x, weight, mean, invstd, dweight, dbias];
  return [...graph.emit('batch_norm_summed_grad', rest, [typeOf(x)]), dweight, dbias];
}

/** With the gradient of the normalisation, which measures the sums itself. */
function lowerDgrad(node: Node, target: Target): Value[] {
  const { graph, map } = target;
  const [dy, w, x, weight, , mean, invstd] = node.inputs.map(map) as Value[];
  const [type, ...parameters] = node.outputs.map(typeOf);
  const [dx] = graph.emit('conv2d_dgrad', [dy, w] as Value[], [type] as ValueType[], node.attributes);
  const masked = reluGrad(dx as Value, activatedOf(node, node.inputs[5], target));
  const norm = [masked, x, weight, mean, invstd] as Value[];
  const [, dweight, dbias] = graph.emit('batch_norm_grad', norm, [type, ...parameters] as ValueType[]);
  return [masked, dweight, dbias] as Value[];
}

/** What the other half left when it was lowered. */
function lowerNormGradient({ inputs, path }: Node, { map }: Target): Value[] {
  const gradient = producedBy(map(inputs[5] as Value), 'batch_norm_grad');
  if (!gradient) throw new Error(`batch_norm_summed_grad ${path}: cannot be lowered without conv2d_dgrad_statistics`);
  return [gradient.outputs[0] as Value];
}

defineOp('conv2d_statistics', {
  lower,
  multiplyAdds: ({ inputs: [, w], outputs: [y] }: Node) => multiplyAdds(y as Value, w as Value),
});
defineOp('batch_norm_summed', {
  fold: convNorm,
  lower(node: Node, target: Target): Value[] {
    const inputs = node.inputs.slice(0, 3).map(target.map);
    return target.graph.emit('batch_norm', inputs, outputsOf(node, target), node.attributes);
  },
});
defineOp('conv2d_dgrad_statistics', {
  lower: lowerDgrad,
  multiplyAdds: ({ inputs: [dy, w] }: Node) => multiplyAdds(dy as Value, w as Value),
});
defineOp('batch_norm_summed_grad', { remake: dgradNorm, lower: lowerNormGradient });
