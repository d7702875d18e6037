import { defineOp, typeOf, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

/** 1 / (1 + exp(-x)). */
export function sigmoid(x: Value): Value {
  new Check(x.graph, 'sigmoid').float('input', x);
  return x.graph.emit('sigmoid', [x], [typeOf(x)])[0] as Value;
}

defineOp('sigmoid', {
  gradient: ({ outputs: [y] }, dy) => dy.graph.emit('sigmoid_grad', [dy, y as Value], [typeOf(dy)]),
  lowPrecision: { inputs: [0], outputs: [0] },
});
