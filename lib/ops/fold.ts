// Normalisation by running statistics as part of the convolution before it, which only fuse() emits:
// bn(conv(x, w)) = conv(x, w · s) + (bias − mean · s), with s = weight / √(variance + ε) per output channel.
import {
  defineOp,
  elements,
  type Folding,
  type Node,
  producedBy,
  type Target,
  typeOf,
  type Value,
} from '../graph/index.ts';

type Five = readonly [Value, Value, Value, Value, Value];

/** conv2d without a bias -> batch_norm_inference, in a graph that does not train, found from the latter. */
function convNorm(norm: Node): Folding | undefined {
  const conv = norm.op === 'batch_norm_inference' ? producedBy(norm.inputs[0], 'conv2d') : undefined;
  const [x, w, bias] = conv?.inputs ?? [];
  if (!conv || !x || !w || bias || x.graph.training) return undefined;
  const cast = producedBy(w, 'cast');
  const full = cast ? (cast.inputs[0] as Value) : w;
  if (full.dtype !== x.graph.dtype || (!cast && !isShorter(w, norm.outputs[0] as Value))) return undefined;
  const [, ...channels] = norm.inputs;
  return {
    nodes: cast ? [conv, norm, cast] : [conv, norm],
    inputs: [x, full, ...channels],
    outputs: norm.outputs,
    emit: (target) => folded(target, conv, norm, full),
  };
}

/**
 * A pass over the weights, made in every run, in the place of one over the activations. A weight that is cast is passed
 * over anyway, and folding does that as well.
 */
function isShorter(w: Value, y: Value): boolean {
  return elements(w.shape) <= elements(y.shape);
}

function folded({ graph, map }: Target, conv: Node, norm: Node, full: Value): Value[] {
  const [x, w] = conv.inputs as readonly [Value, Value];
  const [, weight, bias, mean, variance] = norm.inputs as Five;
  const inputs = [full, weight, bias, mean, variance].map(map);
  const outputs = [typeOf(w), typeOf(bias)];
  const [scaled, shift] = graph.emit('fold_batch_norm', inputs, outputs, norm.attributes) as [Value, Value];
  return graph.emit('conv2d', [map(x), scaled, shift], norm.outputs.map(typeOf), conv.attributes);
}

defineOp('fold_batch_norm', { fold: convNorm });
