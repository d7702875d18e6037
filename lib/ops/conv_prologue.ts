// Convolution that normalises and rectifies its input as it reads it, so that nobody stores it; only fuse() emits it, in training
// in float16.
import {
  defineOp,
  type Folding,
  type Node,
  outputsOf,
  producedBy,
  readersOf,
  type Target,
  typeOf,
  type Value,
  type ValueType,
} from '../graph/index.ts';
import { activatedOf } from './batch_norm_fused.ts';
import { multiplyAdds } from './conv.ts';

/**
 * batch_norm_summed_relu -> conv2d_statistics, found from the latter, with the gradient of its weight, which reads the same.
 * cuDNN has the gradient in float16 alone.
 */
function normConv(conv: Node): readonly Folding[] | undefined {
  const [activated, w] = conv.op === 'conv2d_statistics' ? conv.inputs : [];
  const norm = producedBy(activated, 'batch_norm_summed_relu');
  if (!activated || !w || !norm || activated.dtype !== 'float16' || conv.attributes.groups !== 1) return undefined;
  const wgrad = readersOf(activated).find(({ op }) => op === 'conv2d_wgrad');
  const [x] = norm.inputs as readonly [Value, ...Value[]];
  const [, mean, ...others] = norm.outputs as readonly [Value, Value, ...Value[]];
  if (!wgrad) return undefined;
  return [
    { nodes: [norm], inputs: norm.inputs, outputs: [mean, ...others], emit: (target) => finished(target, norm) },
    ...[conv, wgrad].map((node) => {
      const other = node.inputs[1] as Value;
      const emit = (target: Target) => scaled(target, node, x, mean, other);
      return { nodes: [node], inputs: [x, mean, other], outputs: node.outputs, emit };
    }),
  ];
}

function finished(target: Target, norm: Node): Value[] {
  const { graph, map } = target;
  const [y, ...statistics] = outputsOf(norm, target) as [ValueType, ...ValueType[]];
  const channels = { shape: [y.shape[1] as number], dtype: y.dtype, format: 'plain' } as const;
  const outputs = [...statistics, channels, channels];
  return graph.emit('batch_norm_finish', norm.inputs.map(map), outputs, norm.attributes).slice(0, statistics.length);
}

/** The node with the scale and shift that belong to this mean. */
function scaled({ graph, map }: Target, node: Node, x: Value, mean: Value, other: Value): Value[] {
  const [scale, shift] = (map(mean).producer as Node).outputs.slice(4) as [Value, Value];
  const inputs = [map(x), scale, shift, map(other)];
  return graph.emit(`scaled_${node.op}`, inputs, node.outputs.map(typeOf), node.attributes);
}

/** Without scale and shift, which nobody reads where the convolutions are lowered as well. */
function lowerFinish(node: Node, target: Target): Value[] {
  const { graph, map } = target;
  const [x, weight, bias] = node.inputs.slice(0, 3).map(map) as [Value, Value, Value];
  const statistics = outputsOf(node, target).slice(0, 4);
  const [y, ...rest] = graph.emit('batch_norm', [x, weight, bias], [typeOf(x), ...statistics], node.attributes);
  graph.emit('relu', [y as Value], [typeOf(x)]);
  return rest;
}

/** As the plain op over what the ReLU gives. */
function lowerTo(op: string) {
  return (node: Node, target: Target): Value[] => {
    const activated = activatedOf(node, node.inputs[1]?.producer?.outputs[0], target);
    const inputs = [activated, target.map(node.inputs[3] as Value)];
    return target.graph.emit(op, inputs, node.outputs.slice(0, 1).map(typeOf), node.attributes);
  };
}

defineOp('batch_norm_finish', { lower: lowerFinish });
defineOp('scaled_conv2d_statistics', {
  remake: normConv,
  lower: lowerTo('conv2d'),
  multiplyAdds: ({ inputs: [, , , w], outputs: [y] }: Node) => multiplyAdds(y as Value, w as Value),
});
defineOp('scaled_conv2d_wgrad', {
  lower: lowerTo('conv2d_wgrad'),
  multiplyAdds: ({ inputs: [, , , dy], outputs: [dw] }: Node) => multiplyAdds(dy as Value, dw as Value),
});
