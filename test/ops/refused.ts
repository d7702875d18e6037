// Bad arguments as data: what is made, and the error that says no before anything is built.
import { describe, expect, it } from 'vitest';
import { type ArgumentError, type DType, Graph, type ShapeError, type Value } from '../../lib/graph/index.ts';

export type Make = (graph: Graph) => unknown;
export type Case = [title: string, make: Make, kind: typeof ArgumentError | typeof ShapeError, text: string];

let count = 0;
export const name = () => `v${count++}`;

export function activation(graph: Graph, shape: readonly number[] = [2, 4, 8, 8], dtype: DType = 'float32'): Value {
  return graph.input(name(), { shape, dtype, format: 'activation' });
}

export function filter(graph: Graph, shape: readonly number[] = [6, 4, 3, 3], dtype: DType = 'float32'): Value {
  return graph.variable(name(), { shape, dtype, format: 'filter' });
}

export function plain(graph: Graph, shape: readonly number[], dtype: DType = 'float32'): Value {
  return graph.input(name(), { shape, dtype });
}

export function describeRefused(title: string, cases: readonly Case[]): void {
  describe(title, () => {
    it.each(cases)('%s', (_case, make, kind, text) => {
      const graph = new Graph({ training: true });
      const error = caught(() => graph.scope('layer1', () => graph.scope('0', () => make(graph))));
      expect(error).toBeInstanceOf(kind);
      expect(error?.message).toContain(text);
      expect(graph.nodes).toHaveLength(0);
    });
  });
}

function caught(fn: () => unknown): Error | undefined {
  try {
    fn();
  } catch (error) {
    return error as Error;
  }
  return undefined;
}
