// Fusion: replaces groups of nodes by one node where the device has the kernel; lower() is the inverse.
// Which groups, and what a fused node means, each op's file says (fuse and lower in its rule).
import type { Graph, Node, Value } from './graph.ts';
import { fusedOps, type Match, ruleOf } from './registry.ts';
import { copy, rewrite } from './rewrite.ts';

/** Fuses what `features` offers as `op:<name>`. Values named in `keep` stay readable: nothing that hides them is fused. */
export function fuse(graph: Graph, features: ReadonlySet<string>, keep: readonly string[] = []): Graph {
  const offered = fusedOps().filter(([op]) => features.has(`op:${op}`));
  const plan = new Plan(graph, new Set(keep.map((name) => graph.find(name))));
  for (const node of graph.nodes) {
    for (const [op, find] of offered) {
      const match = find(node);
      if (match) plan.replace(op, match);
    }
  }
  return rewrite(graph, plan.nodes, copy);
}

/** Replaces the fused nodes that the device does not offer by their unfused form. */
export function lower(graph: Graph, features: ReadonlySet<string>): Graph {
  return rewrite(graph, graph.nodes, (node, target) => {
    const rule = ruleOf(node.op).lower;
    return rule && !features.has(`op:${node.op}`) ? rule(node, target) : copy(node, target);
  });
}

class Plan {
  nodes: readonly Node[];
  readonly #kept: ReadonlySet<Value>;

  constructor(graph: Graph, kept: ReadonlySet<Value>) {
    this.nodes = graph.nodes;
    this.#kept = kept;
  }

  replace(op: string, { nodes, ...fused }: Match): void {
    const group = new Set(nodes);
    if (!nodes.every((node) => this.nodes.includes(node)) || !this.#hidesNothing(group, fused.outputs)) return;
    const anchor = nodes.find((node) => this.#canGatherAt(node, group));
    if (!anchor) return;
    const { path } = nodes[0] as Node;
    this.nodes = this.nodes.flatMap((node) => {
      if (node === anchor) return [{ op, path, ...fused }];
      return group.has(node) ? [] : [node];
    });
  }

  /** Values inside the group that the fused node does not give are read by nobody else. */
  #hidesNothing(group: ReadonlySet<Node>, given: readonly Value[]): boolean {
    const inner = [...group].flatMap((node) => node.outputs).filter((value) => !given.includes(value));
    const read = new Set(this.nodes.flatMap((node) => (group.has(node) ? [] : node.inputs)));
    return inner.every((value) => !this.#kept.has(value) && !read.has(value));
  }

  /** Whether moving the whole group to the place of `anchor` changes nothing for the nodes in between. */
  #canGatherAt(anchor: Node, group: ReadonlySet<Node>): boolean {
    const place = this.nodes.indexOf(anchor);
    return [...group].every((node) => {
      const own = this.nodes.indexOf(node);
      const between = this.nodes.slice(Math.min(own, place), Math.max(own, place));
      return between.every((other) => group.has(other) || !conflict(node, other));
    });
  }
}

/** Whether the order of two nodes matters: one writes what the other reads or writes. */
function conflict(a: Node, b: Node): boolean {
  return (
    a.outputs.some((value) => b.inputs.includes(value) || b.outputs.includes(value)) ||
    b.outputs.some((value) => a.inputs.includes(value))
  );
}
