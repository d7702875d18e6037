import { defineOp, typeOf, type Value } from '../graph/index.ts';
import { Check, type Pair } from './check.ts';

export interface SubsamplePadOptions {
  readonly stride: Pair;
  /** Output channels; those beyond the input's are zero. */
  readonly channels: number;
}

/** Every stride-th pixel, with zero channels appended: the parameter-free shortcut of He et al. 2015, section 4.2 (option A). */
export function subsamplePad(x: Value, options: SubsamplePadOptions): Value {
  const check = new Check(x.graph, 'subsample_pad');
  check.options(options, 'stride', 'channels');
  const [n, c, height, width] = check.activation('input', x);
  check.float('input', x);
  const stride = check.pair('stride', options.stride, 1);
  const channels = check.integer('channels', options.channels, 1);
  if (channels < c) throw check.shape(`channels=${channels} is less than the input's ${c}`);
  const shape = [n, channels, Math.ceil(height / stride[0]), Math.ceil(width / stride[1])];
  return x.graph.emit('subsample_pad', [x], [{ shape, dtype: x.dtype, format: 'activation' }], { stride })[0] as Value;
}

defineOp('subsample_pad', {
  gradient: ({ inputs: [x], attributes }, dy) =>
    dy.graph.emit('subsample_pad_grad', [dy], [typeOf(x as Value)], attributes),
  lowPrecision: { inputs: [0], outputs: [0] },
});
