import type { Value } from '../graph/index.ts';
import { Check } from './check.ts';

/** Rows of `table` [M, ...] by `index` [B] (int32): y[b] = table[index[b]]. An index out of range fails the step. */
export function gather(table: Value, index: Value): Value {
  const { graph } = table;
  const check = new Check(graph, 'gather');
  check.dtype('index', index, 'int32');
  if (index.shape.length !== 1) throw check.shape(`index must have one axis, got [${index.shape.join(',')}]`);
  if (table.format !== 'plain') throw check.shape(`table must be plain, got ${table.format}`);
  if (table.shape.length === 0) throw check.shape('table must have at least one axis');
  const shape = [index.shape[0] as number, ...table.shape.slice(1)];
  return graph.emit('gather', [table, index], [{ shape, dtype: table.dtype, format: 'plain' }])[0] as Value;
}
