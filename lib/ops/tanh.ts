import { defineOp, typeOf, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

/** The hyperbolic tangent. */
export function tanh(x: Value): Value {
  new Check(x.graph, 'tanh').float('input', x);
  return x.graph.emit('tanh', [x], [typeOf(x)])[0] as Value;
}

defineOp('tanh', {
  gradient: ({ outputs: [y] }, dy) => dy.graph.emit('tanh_grad', [dy, y as Value], [typeOf(dy)]),
  lowPrecision: { inputs: [0], outputs: [0] },
});
