import type { Graph, Value, ValueType } from '../graph/index.ts';
import { Check } from './check.ts';

/** A value whose elements are all `value`. */
export function fill(graph: Graph, type: ValueType, value: number): Value {
  new Check(graph, 'fill').number('value', value, 'a finite number', () => true);
  return graph.emit('fill', [], [type], { value })[0] as Value;
}
