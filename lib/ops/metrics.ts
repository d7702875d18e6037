import type { Value } from '../graph/index.ts';
import { Check } from './check.ts';

/** How many rows of logits [N, K] have their label (int32 [N]) among the `k` largest: int32 [1]. Label -1 does not count. */
export function topkCorrect(logits: Value, labels: Value, { k }: { readonly k: number }): Value {
  const { graph } = logits;
  const check = new Check(graph, 'topk_correct');
  const [n, classes] = check.matrix('logits', logits, '[N, K]');
  check.float('logits', logits);
  check.dtype('labels', labels, 'int32');
  check.hasShape('labels', labels, [n], 'one per row of the logits');
  check.integer('k', k, 1);
  if (k > classes) throw check.argument(`k must be at most the number of classes (${classes}), got ${k}`);
  const type = { shape: [1], dtype: 'int32', format: 'plain' } as const;
  return graph.emit('topk_correct', [logits, labels], [type], { k })[0] as Value;
}

/** ring[step mod R] = value, where `ring` is a variable [R]: the last R values of a metric, to be read every R steps. */
export function ringWrite(value: Value, step: Value, ring: Value): void {
  const check = new Check(value.graph, 'ring_write');
  check.hasShape('value', value, [1], 'one number');
  check.dtype('step', step, 'int32');
  check.hasShape('step', step, [1], 'a counter');
  check.variable('ring', ring);
  check.dtype('ring', ring, value.dtype);
  if (ring.shape.length !== 1) throw check.shape(`ring must have one axis, got [${ring.shape.join(',')}]`);
  value.graph.emit('ring_write', [value, step], [ring]);
}

/** counter += by, for a variable int32 [1]. */
export function increment(counter: Value, by = 1): void {
  const check = new Check(counter.graph, 'increment');
  check.variable('counter', counter);
  check.dtype('counter', counter, 'int32');
  check.hasShape('counter', counter, [1], 'a counter');
  check.number('by', by, 'an integer', Number.isInteger);
  counter.graph.emit('increment', [], [counter], { by });
}
