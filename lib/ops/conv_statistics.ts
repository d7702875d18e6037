// Convolution that sums up its output for the normalisation behind it, which only fuse() emits, in training in half precision.
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
} from '../graph/index.ts';
import { multiplyAdds } from './conv.ts';

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
