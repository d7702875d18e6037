import type { Value } from '../graph/index.ts';

/** Gradient of a bias per channel: dy [N, C, ...] summed over all axes but the second. */
export function biasGrad(dy: Value): Value {
  const { graph, shape } = dy;
  const type = { shape: [shape[1] as number], dtype: graph.dtype, format: 'plain' } as const;
  return graph.emit('bias_grad', [dy], [type])[0] as Value;
}
