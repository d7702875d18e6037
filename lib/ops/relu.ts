import { defineOp, typeOf, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

/** max(x, 0). */
export function relu(x: Value): Value {
  new Check(x.graph, 'relu').float('input', x);
  return x.graph.emit('relu', [x], [typeOf(x)])[0] as Value;
}

/** dy where y > 0, else 0. */
export function reluGrad(dy: Value, y: Value): Value {
  return dy.graph.emit('relu_grad', [dy, y], [typeOf(dy)])[0] as Value;
}

defineOp('relu', {
  gradient: ({ outputs: [y] }, dy) => [reluGrad(dy, y as Value)],
  lowPrecision: { inputs: [0], outputs: [0] },
});
