// Builds a graph anew, node by node: the frame of every pass. Names go with the values that live on.
import { Graph, type Node, type Value } from './graph.ts';
import type { Target } from './registry.ts';
import type { ValueType } from './types.ts';

/** Emits what a node becomes into `target.graph` and returns the values that stand for the node's outputs. */
export type Visit = (node: Node, target: Target) => readonly Value[];

export function rewrite(source: Graph, nodes: readonly Node[], visit: Visit): Graph {
  const given = source.values.filter(({ storage }) => storage !== 'temporary');
  const { graph, mapped } = rebuild(source, given, nodes, visit);
  graph.rename(
    [...source.names].flatMap(([name, value]) => {
      const result = mapped.get(value);
      return result ? [[name, result] as const] : [];
    }),
  );
  return graph;
}

/** A part of a graph by itself: what it reads of the rest are inputs. */
export interface Excerpt {
  readonly graph: Graph;
  /** What it gives to the rest, variables aside. */
  readonly outputs: readonly Value[];
}

export function excerpt(source: Graph, nodes: readonly Node[], outputs: readonly Value[], visit: Visit): Excerpt {
  const made = new Set(nodes.flatMap((node) => node.outputs.filter(({ storage }) => storage === 'temporary')));
  const used = new Set(nodes.flatMap((node) => [...node.inputs, ...node.outputs]));
  const given = [...used].filter((value) => !made.has(value));
  const { graph, mapped } = rebuild(source, given, nodes, visit);
  const temporary = outputs.filter(({ storage }) => storage === 'temporary');
  return { graph, outputs: temporary.map((value) => mapped.get(value) as Value) };
}

/** Begins with the `given` values, and appends what the nodes become. */
function rebuild(source: Graph, given: readonly Value[], nodes: readonly Node[], visit: Visit) {
  const graph = new Graph({ dtype: source.dtype, training: source.training });
  const mapped = new Map<Value, Value>();
  for (const value of given) {
    mapped.set(value, value.storage === 'variable' ? copyVariable(graph, value) : graph.input(value.name, value));
  }
  const target: Target = {
    graph,
    map(value) {
      const result = mapped.get(value);
      if (!result) throw new Error(`rewrite: '${value.name}' is read before it is written`);
      return result;
    },
  };
  for (const node of nodes) {
    const results = graph.within(node.path, () => visit(node, target));
    node.outputs.forEach((output, i) => {
      if (output.storage === 'temporary') mapped.set(output, results[i] as Value);
    });
  }
  return { graph, mapped };
}

/** The node that writes the value, where it is of that op. */
export function producedBy(value: Value | undefined, op: string): Node | undefined {
  return value?.producer?.op === op ? value.producer : undefined;
}

/** The nodes that read the value. */
export function readersOf(value: Value): Node[] {
  return value.graph.nodes.filter(({ inputs }) => inputs.includes(value));
}

/** The node as it is, over the target's values. */
export function copy(node: Node, target: Target): Value[] {
  return target.graph.emit(node.op, node.inputs.map(target.map), outputsOf(node, target), node.attributes);
}

/** What a node of the target that stands for this one writes: the same variables, and values of the same types. */
export function outputsOf({ outputs }: Node, { map }: Target): (Value | ValueType)[] {
  return outputs.map((output) => (output.storage === 'variable' ? map(output) : typeOnly(output)));
}

function typeOnly({ shape, dtype, format }: Value) {
  return { shape, dtype, format };
}

function copyVariable(graph: Graph, { name, shape, dtype, format, initial }: Value): Value {
  return graph.variable(name, { shape, dtype, format, ...(initial && { initial }) });
}
