// The fused forms of batch normalisation, which only fuse() emits: BN+ReLU and BN+add+ReLU, both directions and inference.
import { defineOp, type Match, type Node, producedBy, type Target, typeOf, type Value } from '../graph/index.ts';
import { add } from './add.ts';
import { relu, reluGrad } from './relu.ts';

/** BN -> ReLU, found from its ReLU. */
function normRelu(norm: string) {
  return (last: Node): Match | undefined => {
    const bn = last.op === 'relu' ? producedBy(last.inputs[0], norm) : undefined;
    if (!bn) return undefined;
    const outputs = [last.outputs[0] as Value, ...bn.outputs.slice(1)];
    return { nodes: [bn, last], inputs: bn.inputs, outputs, attributes: bn.attributes };
  };
}

/** BN -> add -> ReLU, found from its ReLU; either side of the addition may be the normalised one. */
function normAddRelu(norm: string) {
  return (last: Node): Match | undefined => {
    const sum = last.op === 'relu' ? producedBy(last.inputs[0], 'add') : undefined;
    const bn = sum?.inputs.map((input) => producedBy(input, norm)).find((node) => node !== undefined);
    if (!sum || !bn) return undefined;
    const [x, ...parameters] = bn.inputs as [Value, ...Value[]];
    const residual = sum.inputs.find((input) => input !== bn.outputs[0]);
    if (!residual) return undefined;
    const outputs = [last.outputs[0] as Value, ...bn.outputs.slice(1)];
    return { nodes: [bn, sum, last], inputs: [x, residual, ...parameters], outputs, attributes: bn.attributes };
  };
}

/** ReLU gradient -> BN gradient, found from the latter, with what stands before the ReLU. */
function gradientPair(last: Node) {
  const mask = last.op === 'batch_norm_grad' ? producedBy(last.inputs[0], 'relu_grad') : undefined;
  const activated = mask && producedBy(mask.inputs[1], 'relu');
  const before = activated?.inputs[0]?.producer;
  const isOurs = (node: Node | undefined) => node?.op === 'batch_norm' && node.outputs[1] === last.inputs[3];
  return mask && before && { mask, before, isOurs };
}

function normReluGrad(last: Node): Match | undefined {
  const found = gradientPair(last);
  if (!found?.isOurs(found.before)) return undefined;
  const { mask, before } = found;
  const [, x, weight, mean, invstd] = last.inputs as [Value, Value, Value, Value, Value];
  const inputs = [mask.inputs[0] as Value, x, weight, before.inputs[2] as Value, mean, invstd];
  return { nodes: [last, mask], inputs, outputs: last.outputs, attributes: {} };
}

function normAddReluGrad(last: Node): Match | undefined {
  const found = gradientPair(last);
  if (found?.before.op !== 'add' || !found.before.inputs.some(({ producer }) => found.isOurs(producer)))
    return undefined;
  const { mask } = found;
  const [, x, ...statistics] = last.inputs as [Value, Value, ...Value[]];
  const [dx, ...parameters] = last.outputs as [Value, ...Value[]];
  const inputs = [mask.inputs[0] as Value, x, mask.inputs[1] as Value, ...statistics];
  return { nodes: [last, mask], inputs, outputs: [dx, mask.outputs[0] as Value, ...parameters], attributes: {} };
}

/** Emits the plain normalisation of a fused node and hands its output on. */
function unfused(norm: string, finish: (y: Value, residual: Value) => Value, hasResidual: boolean) {
  return (node: Node, { graph, map }: Target): Value[] => {
    const [x, ...others] = node.inputs.map(map) as [Value, ...Value[]];
    const outputs = node.outputs.map((output) => (output.storage === 'variable' ? map(output) : typeOf(output)));
    const parameters = hasResidual ? others.slice(1) : others;
    const [y, ...statistics] = graph.emit(norm, [x, ...parameters], outputs, node.attributes) as [Value, ...Value[]];
    return [finish(y, others[0] as Value), ...statistics];
  };
}

function lowerReluGrad(node: Node, { graph, map }: Target): Value[] {
  const [dy, x, weight, , mean, invstd] = node.inputs.map(map) as [Value, Value, Value, Value, Value, Value];
  const masked = reluGrad(dy, map(activatedOf(node)));
  return graph.emit('batch_norm_grad', [masked, x, weight, mean, invstd], node.outputs.map(typeOf));
}

/** The output of the ReLU behind the normalisation that this gradient belongs to. */
function activatedOf({ inputs, path }: Node): Value {
  const forward = inputs[4]?.producer;
  const y = forward?.outputs[0];
  if (forward?.op === 'batch_norm_relu') return y as Value;
  const activation = y?.graph.nodes.find((node) => node.op === 'relu' && node.inputs[0] === y);
  if (!activation)
    throw new Error(`batch_norm_relu_grad ${path}: cannot be lowered, its forward ReLU is not in the graph`);
  return activation.outputs[0] as Value;
}

function lowerAddReluGrad(node: Node, { graph, map }: Target): Value[] {
  const [dy, x, y, ...statistics] = node.inputs.map(map) as [Value, Value, Value, ...Value[]];
  const [dx, , ...parameters] = node.outputs.map(typeOf);
  const masked = reluGrad(dy, y);
  const [first, ...rest] = graph.emit('batch_norm_grad', [masked, x, ...statistics], [dx, ...parameters] as never);
  return [first as Value, masked, ...rest];
}

for (const norm of ['batch_norm', 'batch_norm_inference']) {
  defineOp(`${norm}_relu`, { fuse: normRelu(norm), lower: unfused(norm, (y) => relu(y), false) });
  defineOp(`${norm}_add_relu`, {
    fuse: normAddRelu(norm),
    lower: unfused(norm, (y, residual) => relu(add(y, residual)), true),
  });
}
defineOp('batch_norm_relu_grad', { fuse: normReluGrad, lower: lowerReluGrad });
defineOp('batch_norm_add_relu_grad', { fuse: normAddReluGrad, lower: lowerAddReluGrad });
