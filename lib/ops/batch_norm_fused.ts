// The fused forms of batch normalisation, which only fuse() emits: BN+ReLU and BN+add+ReLU, both directions and inference, and
// BN+add+ReLU with a mask for the way back.
import {
  defineOp,
  type Folding,
  type Match,
  type Node,
  outputsOf,
  producedBy,
  readersOf,
  type Target,
  typeOf,
  type Value,
} from '../graph/index.ts';
import { reluGrad } from './relu.ts';

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
  const isNorm = (op: string) => op === 'batch_norm' || op === 'batch_norm_summed';
  const isOurs = (node: Node | undefined) => node && isNorm(node.op) && node.outputs[1] === last.inputs[3];
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

/**
 * BN+add+ReLU and its gradient, found from the latter: what the ReLU lets through is kept as bits, which are all that the
 * gradient reads of y.
 */
function keepMask(last: Node): readonly Folding[] | undefined {
  const y = last.op === 'batch_norm_add_relu_grad' ? last.inputs[2] : undefined;
  const forward = y?.producer;
  const channels = y?.shape[1] ?? 0;
  if (!y || !forward || !/^batch_norm(_summed)?_add_relu$/.test(forward.op) || channels % 8 !== 0) return undefined;
  return [
    { nodes: [forward], inputs: forward.inputs, outputs: forward.outputs, emit: (target) => withMask(target, forward) },
    { nodes: [last], inputs: last.inputs, outputs: last.outputs, emit: (target) => fromMask(target, last) },
  ];
}

function withMask(target: Target, forward: Node): Value[] {
  const [{ shape }] = forward.outputs as [Value];
  const [n, c, ...map] = shape as [number, number, ...number[]];
  const mask = { shape: [n, c / 8, ...map], dtype: 'uint8', format: 'activation' } as const;
  const outputs = [...outputsOf(forward, target), mask];
  return target.graph.emit(`${forward.op}_mask`, forward.inputs.map(target.map), outputs, forward.attributes);
}

function fromMask({ graph, map }: Target, last: Node): Value[] {
  const [dy, x, y, ...statistics] = last.inputs.map(map) as [Value, Value, Value, ...Value[]];
  const mask = y.producer?.outputs[5] as Value;
  return graph.emit('batch_norm_add_relu_mask_grad', [dy, x, mask, ...statistics], last.outputs.map(typeOf));
}

/** Emits the plain normalisation of a fused node and hands its output on. Given sums are left out: it measures itself. */
function unfused(norm: string, hasResidual: boolean) {
  const [plain, sums] = norm === 'batch_norm_summed' ? ['batch_norm', 2] : [norm, 0];
  return (node: Node, target: Target): Value[] => {
    const { graph, map } = target;
    const given = node.inputs.slice(0, node.inputs.length - sums);
    const [x, ...others] = given.map(map) as [Value, ...Value[]];
    const outputs = outputsOf(node, target).slice(0, 5);
    const residual = hasResidual ? (others.shift() as Value) : undefined;
    const [y, ...statistics] = graph.emit(plain, [x, ...others], outputs, node.attributes) as [Value, ...Value[]];
    return [unchecked('relu', residual ? unchecked('add', y, residual) : y), ...statistics];
  };
}

/** relu() and add() would refuse float16, which only autocast() brings into a graph. */
export function unchecked(op: 'relu' | 'add', x: Value, ...more: Value[]): Value {
  return x.graph.emit(op, [x, ...more], [typeOf(x)])[0] as Value;
}

function lowerReluGrad(node: Node, target: Target): Value[] {
  const { graph, map } = target;
  const [dy, x, weight, , mean, invstd] = node.inputs.map(map) as [Value, Value, Value, Value, Value, Value];
  const masked = reluGrad(dy, activatedOf(node, node.inputs[4], target));
  return graph.emit('batch_norm_grad', [masked, x, weight, mean, invstd], node.outputs.map(typeOf));
}

/** In the target, the output of the ReLU behind the normalisation to which this node belongs, whose mean that is. */
export function activatedOf({ op, path }: Node, mean: Value | undefined, { map }: Target): Value {
  const forward = mean?.producer;
  const y = forward?.outputs[0] as Value;
  if (forward?.op === 'batch_norm_relu' || forward?.op === 'batch_norm_summed_relu') return map(y);
  const wasFinish = forward?.op === 'batch_norm_finish';
  const normalised = wasFinish ? map(y).producer?.outputs[0] : y;
  const activated = normalised && readersOf(normalised).find((node) => node.op === 'relu')?.outputs[0];
  if (!activated) throw new Error(`${op} ${path}: cannot be lowered, its forward ReLU is not in the graph`);
  return wasFinish ? activated : map(activated);
}

function lowerAddReluGrad({ inputs, outputs }: Node, { graph, map }: Target): Value[] {
  const [dy, x, y, ...statistics] = inputs.map((input) => map(activatedBy(input))) as [Value, Value, Value, ...Value[]];
  const [dx, , ...parameters] = outputs.map(typeOf);
  const masked = reluGrad(dy, y);
  const [first, ...rest] = graph.emit('batch_norm_grad', [masked, x, ...statistics], [dx, ...parameters] as never);
  return [first as Value, masked, ...rest];
}

/** Of a mask, what it was taken of; anything else itself. */
function activatedBy(value: Value): Value {
  return value.dtype === 'uint8' ? (value.producer?.outputs[0] as Value) : value;
}

for (const norm of ['batch_norm', 'batch_norm_summed', 'batch_norm_inference']) {
  defineOp(`${norm}_relu`, { fuse: normRelu(norm), lower: unfused(norm, false) });
  defineOp(`${norm}_add_relu`, { fuse: normAddRelu(norm), lower: unfused(norm, true) });
}
defineOp('batch_norm_add_relu_mask', { remake: keepMask, lower: unfused('batch_norm', true) });
defineOp('batch_norm_summed_add_relu_mask', { lower: unfused('batch_norm_summed', true) });
defineOp('batch_norm_add_relu_mask_grad', { lower: lowerAddReluGrad });
defineOp('batch_norm_relu_grad', { fuse: normReluGrad, lower: lowerReluGrad });
defineOp('batch_norm_add_relu_grad', { fuse: normAddReluGrad, lower: lowerAddReluGrad });
