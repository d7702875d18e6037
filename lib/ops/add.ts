import { defineOp, sameType, typeOf, typeText, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

/** a + b, of equal types; nothing is broadcast. */
export function add(a: Value, b: Value): Value {
  const check = new Check(a.graph, 'add');
  check.float('input', a);
  if (!sameType(a, b)) throw check.shape(`the inputs must have one type, got ${typeText(a)} and ${typeText(b)}`);
  return a.graph.emit('add', [a, b], [typeOf(a)])[0] as Value;
}

defineOp('add', {
  gradient: (_node, dy) => [dy, dy],
  lowPrecision: { inputs: [0, 1], outputs: [0] },
});
