import { defineOp, typeOf, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

/** Softmax over the rows of x [N, K]; the probabilities have the graph's own dtype. */
export function softmax(x: Value): Value {
  const { graph } = x;
  const check = new Check(graph, 'softmax');
  const shape = check.matrix('input', x, '[N, K]');
  check.float('input', x);
  return graph.emit('softmax', [x], [{ shape, dtype: graph.dtype, format: 'plain' }])[0] as Value;
}

defineOp('softmax', {
  gradient: ({ inputs: [x], outputs: [y] }, dy) =>
    dy.graph.emit('softmax_grad', [dy, y as Value], [typeOf(x as Value)]),
});
