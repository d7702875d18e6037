import { defineOp, elements, typeOf, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

/** [N, C, H, W] to [N, C·H·W], in logical order. */
export function flatten(x: Value): Value {
  const check = new Check(x.graph, 'flatten');
  const [n] = check.activation('input', x);
  check.float('input', x);
  const type = { shape: [n, elements(x.shape) / n], dtype: x.dtype, format: 'plain' } as const;
  return x.graph.emit('flatten', [x], [type])[0] as Value;
}

defineOp('flatten', {
  gradient: ({ inputs: [x] }, dy) => dy.graph.emit('unflatten', [dy], [typeOf(x as Value)]),
  lowPrecision: { inputs: [0], outputs: [0] },
});
