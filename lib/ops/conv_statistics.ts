// Convolution that sums up its output for the normalisation behind it, which only fuse() emits, in training with float16.
import { defineOp, type Folding, type Node, producedBy, type Target, typeOf, type Value } from '../graph/index.ts';
import { multiplyAdds } from './conv.ts';

/** cuDNN gives sums with the convolution of float16 alone, and where all channels are multiples of this. */
const channelMultiple = 8;

/** conv2d without a bias -> batch_norm, found from the latter; gradients read what stands between them, which stays. */
function convNorm(norm: Node): Folding | undefined {
  const conv = norm.op === 'batch_norm' ? producedBy(norm.inputs[0], 'conv2d') : undefined;
  const [x, w, bias] = conv?.inputs ?? [];
  const y = conv?.outputs[0];
  if (!conv || !x || !w || !y || bias || y.dtype !== 'float16') return undefined;
  if ([x, y].some(({ shape: [, channels = 0] }) => channels % channelMultiple !== 0)) return undefined;
  const [, ...parameters] = norm.inputs;
  return {
    nodes: [conv, norm],
    inputs: [x, w, ...parameters],
    outputs: [y, ...norm.outputs],
    emit: (target) => summed(target, conv, norm),
  };
}

function summed({ graph, map }: Target, conv: Node, norm: Node): Value[] {
  const [, weight, bias] = norm.inputs as readonly [Value, Value, Value];
  const types = [typeOf(norm.inputs[0] as Value), typeOf(weight), typeOf(weight)];
  const sums = graph.emit('conv2d_statistics', conv.inputs.map(map), types, conv.attributes);
  const [y, sum, squareSum] = sums as [Value, Value, Value];
  const inputs = [y, map(weight), map(bias), sum, squareSum];
  const outputs = norm.outputs.map((output) => (output.storage === 'variable' ? map(output) : typeOf(output)));
  return [y, ...graph.emit('batch_norm_summed', inputs, outputs, norm.attributes)];
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
  lower({ inputs, outputs, attributes }: Node, { graph, map }: Target): Value[] {
    const types = outputs.map((output) => (output.storage === 'variable' ? map(output) : typeOf(output)));
    return graph.emit('batch_norm', inputs.slice(0, 3).map(map), types, attributes);
  },
});
