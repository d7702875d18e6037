import { defineOp, sameType, typeOf, typeText, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

/** a · b, element by element, of equal types; nothing is broadcast. */
export function mul(a: Value, b: Value): Value {
  const check = new Check(a.graph, 'mul');
  check.float('input', a);
  if (!sameType(a, b)) throw check.shape(`the inputs must have one type, got ${typeText(a)} and ${typeText(b)}`);
  return product(a, b);
}

function product(a: Value, b: Value): Value {
  return a.graph.emit('mul', [a, b], [typeOf(a)])[0] as Value;
}

defineOp('mul', {
  gradient: ({ inputs: [a, b] }, dy, [needsA, needsB]) => [
    needsA ? product(dy, b as Value) : undefined,
    needsB ? product(dy, a as Value) : undefined,
  ],
  lowPrecision: { inputs: [0, 1], outputs: [0] },
});
