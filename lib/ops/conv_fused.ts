// The fused forms of convolution, which only fuse() emits, for graphs that do not train: conv+ReLU and conv+add+ReLU.
import { defineOp, type Match, type Node, producedBy, type Target, typeOf, type Value } from '../graph/index.ts';
import { multiplyAdds } from './conv.ts';

/** Training is left alone: a kernel may make 0 of a NaN, which is how a net that diverges is seen. */
function rectified(last: Node): Value | undefined {
  return last.op === 'relu' && !last.outputs[0]?.graph.training ? last.inputs[0] : undefined;
}

/** conv2d -> ReLU, found from its ReLU. */
function convRelu(last: Node): Match | undefined {
  const conv = producedBy(rectified(last), 'conv2d');
  return conv && { nodes: [conv, last], inputs: conv.inputs, outputs: last.outputs, attributes: conv.attributes };
}

/** conv2d -> add -> ReLU, found from its ReLU; either side of the addition may be the convolution. */
function convAddRelu(last: Node): Match | undefined {
  const sum = producedBy(rectified(last), 'add');
  const conv = sum?.inputs.map((input) => producedBy(input, 'conv2d')).find((node) => node !== undefined);
  const residual = sum?.inputs.find((input) => input !== conv?.outputs[0]);
  if (!sum || !conv || !residual) return undefined;
  const { attributes } = conv;
  return { nodes: [conv, sum, last], inputs: [...conv.inputs, residual], outputs: last.outputs, attributes };
}

/** Nothing is checked again, as autocast() may have been here. */
function lower(node: Node, { graph, map }: Target, adds: boolean): Value[] {
  const inputs = node.inputs.map(map);
  const residual = adds ? inputs.pop() : undefined;
  const type = node.outputs.map(typeOf);
  const conv = graph.emit('conv2d', inputs, type, node.attributes);
  return graph.emit('relu', residual ? graph.emit('add', [...conv, residual], type) : conv, type);
}

const work = ({ inputs: [, w], outputs: [y] }: Node) => multiplyAdds(y as Value, w as Value);

defineOp('conv2d_relu', {
  fuse: convRelu,
  lower: (node, target) => lower(node, target, false),
  multiplyAdds: work,
});
defineOp('conv2d_add_relu', {
  fuse: convAddRelu,
  lower: (node, target) => lower(node, target, true),
  multiplyAdds: work,
});
