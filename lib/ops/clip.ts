import { ArgumentError, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

/**
 * The common norm of all gradients and the factor min(1, maxNorm / (norm + 1e-6)) that brings it down to `maxNorm`,
 * as torch.nn.utils.clip_grad_norm_. The gradients themselves are scaled where they are used.
 */
export function clipGradNorm(gradients: readonly Value[], { maxNorm }: { readonly maxNorm: number }) {
  const [first] = gradients;
  if (!first) throw new ArgumentError('clip_grad_norm: gradients must not be empty');
  const { graph } = first;
  const check = new Check(graph, 'clip_grad_norm');
  check.number('maxNorm', maxNorm, 'a number above 0', (value) => value > 0);
  for (const gradient of gradients) check.full('gradient', gradient);
  const type = { shape: [1], dtype: graph.dtype, format: 'plain' } as const;
  const [norm, scale] = graph.emit('clip_grad_norm', gradients, [type, type], { max_norm: maxNorm });
  return { norm: norm as Value, scale: scale as Value };
}
