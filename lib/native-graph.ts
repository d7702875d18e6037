// A graph as plain objects, as it crosses the door.
import { type Graph, typeOf, type Value } from './graph/index.ts';
import type { NativeGraph, NativeVariable } from './native.ts';
import type { VariableSpec } from './state.ts';

export function nativeVariable(variable: VariableSpec): NativeVariable {
  return { ...typeOf(variable), name: variable.name };
}

/** `variable`: the place of a variable, by its name, in the state. */
export function toNative(graph: Graph, variable: (name: string) => number, kept: ReadonlySet<Value>): NativeGraph {
  const index = ({ id }: Value) => id;
  return {
    values: graph.values.map((value) => ({
      ...typeOf(value),
      name: value.name,
      storage: value.storage,
      ...(value.storage === 'variable' && { variable: variable(value.name) }),
      ...(kept.has(value) && { keep: true }),
    })),
    nodes: graph.nodes.map(({ op, path, inputs, outputs, attributes }) => {
      return { op, path, inputs: inputs.map(index), outputs: outputs.map(index), attributes };
    }),
  };
}
