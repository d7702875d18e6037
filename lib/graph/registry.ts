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

/** Nodes that others can stand for, under the first one's layer path; inputs and outputs are values of the graph as it is. */
interface Group {
  readonly nodes: readonly Node[];
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

/** One fused node with these attributes. */
export interface Match extends Group {
  readonly attributes: Attributes;
}

/** What `emit` appends; it returns the values that stand for the outputs. */
export interface Folding extends Group {
  readonly emit: (target: Target) => Value[];
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
  /** For an op that takes arithmetic out of the nodes behind it: the nodes around `last` that can be written with it. */
  readonly fold?: (last: Node) => Folding | undefined;
  /**
   * For an op that stands for fused nodes too: the groups, each in its place, around `last`. All of them are replaced, or
   * none.
   */
  readonly remake?: (last: Node) => readonly Folding[] | undefined;
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

/** The ops with a rule of that kind. */
export function rulesOf<K extends 'fold' | 'fuse' | 'remake'>(kind: K): [op: string, rule: NonNullable<OpRule[K]>][] {
  return [...rules].flatMap(([op, { [kind]: rule }]) => (rule ? [[op, rule]] : []));
}

/** Multiply-adds of the node, counted as direct computation; 0 for ops that are bound by memory. */
export function multiplyAdds(node: Node): number {
  return ruleOf(node.op).multiplyAdds?.(node) ?? 0;
}
