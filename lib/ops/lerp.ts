import { defineOp, sameType, typeOf, typeText, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

/** x + t · (h - x), element by element, of equal types: a highway unit's h · t + x · (1 - t) (Srivastava et al. 2015). */
export function lerp(x: Value, h: Value, t: Value): Value {
  const check = new Check(x.graph, 'lerp');
  check.float('input', x);
  for (const other of [h, t]) {
    if (sameType(x, other)) continue;
    throw check.shape(`the inputs must have one type, got ${[x, h, t].map(typeText).join(', ')}`);
  }
  return x.graph.emit('lerp', [x, h, t], [typeOf(x)])[0] as Value;
}

defineOp('lerp', {
  gradient({ inputs }, dy) {
    const type = typeOf(dy);
    return dy.graph.emit('lerp_grad', [dy, ...inputs], [type, type, type]);
  },
  lowPrecision: { inputs: [0, 1, 2], outputs: [0] },
});
