import { type DType, defineOp, typeOf, type Value } from '../graph/index.ts';

/** The same values in another dtype; bfloat16 and float16 round to nearest even. */
export function cast(x: Value, dtype: DType): Value {
  if (x.dtype === dtype) return x;
  return x.graph.emit('cast', [x], [{ ...typeOf(x), dtype }])[0] as Value;
}

defineOp('cast', {
  // Weight gradients are float32 even where the weight was cast to bfloat16: they pass through.
  gradient: ({ inputs: [x] }, dy) => [cast(dy, (x as Value).dtype)],
});
