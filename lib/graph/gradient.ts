// Reverse-mode differentiation: appends the backward nodes to the graph that holds the forward ones.
import { ArgumentError } from './errors.ts';
import type { Graph, Node, Value } from './graph.ts';
import { ruleOf } from './registry.ts';
import { elements, isFloat, sameShape, sameType, shapeText, typeOf, typeText } from './types.ts';

/**
 * Gradients of the scalar `loss` with respect to each value of `wrt`, in that order, named `grad.<value>`; all of them
 * times `lossGradient`, where it is given.
 * Nodes are appended only for what the wanted gradients need; gradients of a value with several users are added up.
 */
export function gradient(loss: Value, wrt: readonly Value[], lossGradient?: Value): Value[] {
  const { graph } = loss;
  checkLoss(loss);
  for (const value of wrt) checkWanted(value, loss);
  if (lossGradient && !sameType(lossGradient, loss)) {
    throw new ArgumentError(
      `gradient: the loss is ${typeText(loss)}, so its gradient cannot be ${typeText(lossGradient)} ('${lossGradient.name}')`,
    );
  }
  const needed = dependents(graph, new Set(wrt));
  const contributions = new Map<Value, Value[]>([[loss, [lossGradient ?? one(loss)]]]);
  for (const node of graph.nodes.toReversed()) {
    if (node.outputs.some((output) => contributions.has(output))) backward(node, needed, contributions);
  }
  return wrt.map((value) => finish(value, loss, contributions));
}

function checkLoss(loss: Value): void {
  if (!isFloat(loss.dtype) || elements(loss.shape) !== 1) {
    const got = `${loss.dtype} ${shapeText(loss.shape)}`;
    throw new ArgumentError(`gradient: the loss must be one floating-point number, '${loss.name}' is ${got}`);
  }
}

function checkWanted(value: Value, loss: Value): void {
  if (value.graph !== loss.graph)
    throw new ArgumentError(`gradient: '${value.name}' belongs to another graph than the loss`);
  if (!isFloat(value.dtype))
    throw new ArgumentError(`gradient: '${value.name}' is ${value.dtype}; only floating-point values have gradients`);
}

/** The values that depend on `roots`, the roots included. */
function dependents(graph: Graph, roots: ReadonlySet<Value>): ReadonlySet<Value> {
  const found = new Set(roots);
  for (const node of graph.nodes) {
    if (!node.inputs.some((input) => found.has(input))) continue;
    for (const output of node.outputs) if (output.storage === 'temporary') found.add(output);
  }
  return found;
}

function one(loss: Value): Value {
  return loss.graph.within('', () => loss.graph.emit('fill', [], [typeOf(loss)], { value: 1 })[0] as Value);
}

function backward(node: Node, needed: ReadonlySet<Value>, contributions: Map<Value, Value[]>): void {
  const needs = node.inputs.map((input) => needed.has(input));
  if (!needs.includes(true)) return;
  const [y] = node.outputs as [Value];
  const place = `${node.op} ${node.path}`.trimEnd();
  const rule = ruleOf(node.op).gradient;
  if (!rule || !contributions.has(y)) {
    const what = rule ? 'beyond its first output' : 'but lies between the loss and a wanted value';
    throw new ArgumentError(`gradient: ${place} has no gradient ${what}`);
  }
  const gradients = y.graph.within(node.path, () => rule(node, total(y, contributions), needs));
  node.inputs.forEach((input, i) => {
    const dx = gradients[i];
    if (!dx || !needs[i]) return;
    if (!sameShape(dx.shape, input.shape)) {
      throw new Error(`gradient: ${place}: input ${shapeText(input.shape)}, its gradient ${shapeText(dx.shape)}`);
    }
    contributions.set(input, [...(contributions.get(input) ?? []), dx]);
  });
}

/** Adds up what was contributed to a value's gradient, and keeps the sum in its place. */
function total(value: Value, contributions: Map<Value, Value[]>): Value {
  const parts = contributions.get(value) as Value[];
  const sum = parts.reduce((a, b) => value.graph.emit('add', [a, b], [typeOf(a)])[0] as Value);
  contributions.set(value, [sum]);
  return sum;
}

function finish(value: Value, loss: Value, contributions: Map<Value, Value[]>): Value {
  if (!contributions.has(value)) {
    throw new ArgumentError(`gradient: '${value.name}' has no influence on '${loss.name}'; leave it out`);
  }
  const sum = loss.graph.within(value.producer?.path ?? '', () => total(value, contributions));
  return loss.graph.endPoint(sum, `grad.${value.name}`);
}
