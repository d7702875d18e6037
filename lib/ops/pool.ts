import { defineOp, type Node, typeOf, type Value } from '../graph/index.ts';
import { Check, type Pair } from './check.ts';
import { checkWindows, outputSize, type Window, type WindowOptions, windowOf, windowOptions } from './window.ts';

export interface PoolOptions extends WindowOptions {
  readonly kernel: Pair;
  /** Lets the last window run over the padded edge, if it starts before it. Default false. */
  readonly ceilMode?: boolean;
}

export interface AvgPoolOptions extends PoolOptions {
  /** Whether the divisor counts the padding. Default true, as in torch. */
  readonly countIncludePad?: boolean;
}

/** The largest of each window; padding counts as -∞. As torch.nn.functional.max_pool2d. */
export function maxPool2d(x: Value, options: PoolOptions): Value {
  const { window, shape } = pooling('max_pool2d', x, options);
  const [kh, kw] = window.kernel;
  const type = { shape, dtype: x.dtype, format: 'activation' } as const;
  const index = { ...type, dtype: kh * kw <= 256 ? 'uint8' : 'int32' } as const;
  return x.graph.emit('max_pool2d', [x], [type, index], { ...window })[0] as Value;
}

/** The mean of each window. As torch.nn.functional.avg_pool2d. */
export function avgPool2d(x: Value, options: AvgPoolOptions): Value {
  const { check, window, shape } = pooling('avg_pool2d', x, options, 'countIncludePad');
  const count_include_pad = check.flag('countIncludePad', options.countIncludePad ?? true);
  const type = { shape, dtype: x.dtype, format: 'activation' } as const;
  return x.graph.emit('avg_pool2d', [x], [type], { ...window, count_include_pad })[0] as Value;
}

/** The mean over each channel's map: [N, C, H, W] to [N, C]. */
export function globalAvgPool(x: Value): Value {
  const check = new Check(x.graph, 'global_avg_pool');
  const [n, c] = check.activation('input', x);
  check.float('input', x);
  return x.graph.emit('global_avg_pool', [x], [{ shape: [n, c], dtype: x.dtype, format: 'plain' }])[0] as Value;
}

function pooling(
  op: string,
  x: Value,
  options: PoolOptions,
  ...more: readonly string[]
): { check: Check; window: Window; shape: number[] } {
  const check = new Check(x.graph, op);
  check.options(options, ...windowOptions, 'kernel', 'ceilMode', ...more);
  const [n, c, height, width] = check.activation('input', x);
  check.float('input', x);
  const kernel = check.pair('kernel', options.kernel, 1);
  const window = windowOf(check, [height, width], kernel, { ...options, stride: options.stride ?? kernel });
  const ceilMode = check.flag('ceilMode', options.ceilMode ?? false);
  const size = outputSize(check, [height, width], window, ceilMode);
  checkWindows(check, [height, width], window, size);
  return { check, window, shape: [n, c, ...size] };
}

function fromOutputGradient(op: string) {
  return ({ inputs: [x], attributes }: Node, dy: Value) => dy.graph.emit(op, [dy], [typeOf(x as Value)], attributes);
}

defineOp('max_pool2d', {
  gradient: ({ inputs: [x], outputs: [, index], attributes }, dy) =>
    dy.graph.emit('max_pool2d_grad', [dy, index as Value], [typeOf(x as Value)], attributes),
  lowPrecision: { inputs: [0], outputs: [0] },
});
defineOp('avg_pool2d', {
  gradient: fromOutputGradient('avg_pool2d_grad'),
  lowPrecision: { inputs: [0], outputs: [0] },
});
defineOp('global_avg_pool', {
  gradient: fromOutputGradient('global_avg_pool_grad'),
  lowPrecision: { inputs: [0], outputs: [0] },
});
