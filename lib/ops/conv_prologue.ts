// Convolution that normalises and rectifies its input as it reads it: no pass is spent on that, and without a residual nothing
// is stored. Only fuse() emits it, in training in half precision.
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
import { unchecked } from './batch_norm_fused.ts';
import { multiplyAdds } from './conv.ts';

/**
 * batch_norm_summed_relu -> conv2d_statistics, found from the latter, with the gradient of its weight, which reads the same.
 * cuDNN has that gradient in float16 alone; in bfloat16 a pass makes what it reads, backward, and it is not kept till then.
 */
function normConv(conv: Node): readonly Folding[] | undefined {
  const [activated, w] = conv.op === 'conv2d_statistics' ? conv.inputs : [];
  const norm = producedBy(activated, 'batch_norm_summed_relu');
  if (!activated || !w || !norm || conv.attributes.groups !== 1) return undefined;
  const wgrad = readersOf(activated).find(({ op }) => op === 'conv2d_wgrad');
  const [x] = norm.inputs as readonly [Value, ...Value[]];
  const [, mean, ...others] = norm.outputs as readonly [Value, Value, ...Value[]];
  if (!wgrad) return undefined;
  return [
    {
      nodes: [norm],
      inputs: norm.inputs,
      outputs: [mean, ...others],
      emit: (target) => finished(target, norm, norm.inputs).slice(2),
    },
    ...[conv, wgrad].map((node) => {
      const other = node.inputs[1] as Value;
      const emit = (target: Target) => scaled(target, node, x, mean, other);
      return { nodes: [node], inputs: [x, mean, other], outputs: node.outputs, emit };
    }),
  ];
}

/**
 * batch_norm_summed_add_relu -> conv2d_statistics, found from the latter. What stands between them is read by others, and
 * written by the fused node. cuDNN has it in float16, for windows of one pixel.
 */
function normAddConv(conv: Node): readonly Folding[] | undefined {
  const [activated, w] = conv.op === 'conv2d_statistics' ? conv.inputs : [];
  const norm = producedBy(activated, 'batch_norm_summed_add_relu');
  if (!activated || !w || !norm || activated.dtype !== 'float16' || !isPointwise(conv)) return undefined;
  const [z, ...statistics] = norm.outputs as readonly [Value, ...Value[]];
  const outputs = [z, ...statistics, ...conv.outputs];
  const emit = (target: Target) => scaledAdd(target, norm, conv);
  return [{ nodes: [conv, norm], inputs: [...norm.inputs, w], outputs, emit }];
}

function isPointwise({ inputs: [, w], attributes: { stride, padding, groups } }: Node): boolean {
  const is = (value: number) => (one: number) => one === value;
  const [, , ...window] = w?.shape ?? [];
  const steps = [...window, ...(stride as readonly number[])];
  return steps.every(is(1)) && (padding as readonly number[]).every(is(0)) && groups === 1;
}

function scaledAdd(target: Target, norm: Node, conv: Node): Value[] {
  const { graph, map } = target;
  const [x, residual, ...parameters] = norm.inputs as readonly [Value, Value, ...Value[]];
  const finish = () => finished(target, norm, [x, ...parameters]);
  const [scale, shift, ...statistics] = graph.within(norm.path, finish) as [Value, Value, ...Value[]];
  const inputs = [map(x), scale, shift, map(residual), map(conv.inputs[1] as Value)];
  const types = [...conv.outputs, norm.outputs[0] as Value].map(typeOf);
  const [y, sum, squareSum, z] = graph.emit('scaled_add_conv2d_statistics', inputs, types, conv.attributes);
  return [z, ...statistics, y, sum, squareSum] as Value[];
}

/** Scale and shift, then what the normalisation gives but its output. */
function finished(target: Target, norm: Node, inputs: readonly Value[]): Value[] {
  const { graph, map } = target;
  const [y, ...statistics] = outputsOf(norm, target) as [ValueType, ...ValueType[]];
  const channels = { shape: [y.shape[1] as number], dtype: y.dtype, format: 'plain' } as const;
  const outputs = [...statistics, channels, channels];
  const given = graph.emit('batch_norm_finish', inputs.map(map), outputs, norm.attributes);
  return [...given.slice(statistics.length), ...given.slice(0, statistics.length)];
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
  return graph.emit('batch_norm', [x, weight, bias], [typeOf(x), ...statistics], node.attributes).slice(1);
}

/** In the target, what the normalisation gives whose scale the node reads. */
function normalisedOf({ op, path, inputs }: Node, { map }: Target): Value {
  const mean = inputs[1]?.producer?.outputs[0];
  const normalised = mean && producedBy(map(mean), 'batch_norm')?.outputs[0];
  if (!normalised) throw new Error(`${op} ${path}: cannot be lowered without batch_norm_finish`);
  return normalised;
}

/** As the plain op over what the ReLU gives, which is emitted for the first of them. */
function lowerTo(op: string) {
  return (node: Node, target: Target): Value[] => {
    const normalised = normalisedOf(node, target);
    const relu = readersOf(normalised).find((reader) => reader.op === 'relu');
    const inputs = [relu?.outputs[0] ?? unchecked('relu', normalised), target.map(node.inputs[3] as Value)];
    return target.graph.emit(op, inputs, node.outputs.slice(0, 1).map(typeOf), node.attributes);
  };
}

/** Without the sums, as conv2d_statistics. */
function lowerAdd(node: Node, target: Target): Value[] {
  const { graph, map } = target;
  const [residual, w] = node.inputs.slice(3).map(map) as [Value, Value];
  const z = unchecked('relu', unchecked('add', normalisedOf(node, target), residual));
  const [y] = graph.emit('conv2d', [z, w], [typeOf(node.outputs[0] as Value)], node.attributes);
  return [y, undefined, undefined, z] as Value[];
}

defineOp('batch_norm_finish', { lower: lowerFinish });
defineOp('scaled_conv2d_statistics', {
  remake: normConv,
  lower: lowerTo('conv2d'),
  multiplyAdds: ({ inputs: [, , , w], outputs: [y] }: Node) => multiplyAdds(y as Value, w as Value),
});
defineOp('scaled_add_conv2d_statistics', {
  remake: normAddConv,
  lower: lowerAdd,
  multiplyAdds: ({ inputs: [, , , , w], outputs: [y] }: Node) => multiplyAdds(y as Value, w as Value),
});
defineOp('scaled_conv2d_wgrad', {
  lower: lowerTo('conv2d_wgrad'),
  multiplyAdds: ({ inputs: [, , , dy], outputs: [dw] }: Node) => multiplyAdds(dy as Value, dw as Value),
});
