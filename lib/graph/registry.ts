// What the rest of the house may ask about an op. Each file of ops/ defines its own; nothing here knows an op by name.
import type { Attributes, Graph, Node, Value } from './graph.ts';

/**
 * Appends the nodes that carry `dy`, the gradient of the node's first output, to its inputs; returns one gradient per
 * input, undefined where `needs` is false or there is none. Weight gradients are emitted before data gradients, so that
 * the saved activation dies before its gradient is born.
 */
export type GradientRule = (node: Node, dy: Value, needs: readonly boolean[]) => (Value | undefined)[];

/** Inputs and outputs (by index) that autocast() turns to the lower precision. */
export interface LowPrecision {
  readonly inputs: readonly number[] | 'all';
  readonly outputs: readonly number[];
}

/** Nodes that one node can stand for, under the first one's layer path; inputs and outputs are values of the graph as it is. */
export interface Match {
  readonly nodes: readonly Node[];
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attributes: Attributes;
}

/** Where a rewritten graph stands: the new graph, and what an old value became in it. */
export interface Target {
  readonly graph: Graph;
  map(value: Value): Value;
}

export interface OpRule {
  readonly gradient?: GradientRule;
  readonly lowPrecision?: LowPrecision;
  /** For a fused op: the nodes around `last` that it can stand for. */
  readonly fuse?: (last: Node) => Match | undefined;
  /** For a fused op: emits its unfused form and returns the values that stand for the node's outputs. */
  readonly lower?: (node: Node, target: Target) => Value[];
  readonly multiplyAdds?: (node: Node) => number;
}

const rules = new Map<string, OpRule>();

export function defineOp(op: string, rule: OpRule): void {
  rules.set(op, rule);
}

export function ruleOf(op: string): OpRule {
  return rules.get(op) ?? {};
}

export function fusedOps(): [op: string, fuse: NonNullable<OpRule['fuse']>][] {
  return [...rules].flatMap(([op, { fuse }]) => (fuse ? [[op, fuse]] : []));
}

/** Multiply-adds of the node, counted as direct computation; 0 for ops that are bound by memory. */
export function multiplyAdds(node: Node): number {
  return ruleOf(node.op).multiplyAdds?.(node) ?? 0;
}
