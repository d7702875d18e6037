import { defineOp, typeOf, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

export interface LocalResponseNormOptions {
  /** Channels of a window, which is centred: an odd number. */
  readonly size: number;
  /** Default 1e-4. */
  readonly alpha?: number;
  /** Default 0.75. */
  readonly beta?: number;
  /** Default 1. */
  readonly k?: number;
}

/**
 * y = x / (k + alpha / size · Σ x²)^beta, the sum over `size` neighbouring channels (Krizhevsky et al. 2012, section
 * 3.3, with alpha divided by size as torch and ONNX do). Windows of even size are refused: torch and ONNX differ on them.
 */
export function localResponseNorm(x: Value, options: LocalResponseNormOptions): Value {
  const check = new Check(x.graph, 'local_response_norm');
  check.options(options, 'size', 'alpha', 'beta', 'k');
  check.activation('input', x);
  check.float('input', x);
  const { alpha = 1e-4, beta = 0.75, k = 1 } = options;
  const size = check.integer('size', options.size, 1);
  if (size % 2 === 0) throw check.argument(`size must be odd, got ${size}`);
  check.number('alpha', alpha, 'a number of at least 0', (value) => value >= 0);
  check.number('beta', beta, 'a number of at least 0', (value) => value >= 0);
  check.number('k', k, 'a number above 0', (value) => value > 0);
  return x.graph.emit('local_response_norm', [x], [typeOf(x)], { size, alpha, beta, k })[0] as Value;
}

defineOp('local_response_norm', {
  gradient: ({ inputs: [x], attributes }, dy) =>
    dy.graph.emit('local_response_norm_grad', [dy, x as Value], [typeOf(dy)], attributes),
  lowPrecision: { inputs: [0], outputs: [0] },
});
