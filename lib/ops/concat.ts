import { ArgumentError, defineOp, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

/** Activations [N, Cᵢ, H, W], one after the other along the channels: [N, ΣCᵢ, H, W]. */
export function concat(values: readonly Value[]): Value {
  const [first] = values;
  if (!first) throw new ArgumentError('concat: inputs must not be empty');
  const check = new Check(first.graph, 'concat');
  const [n, , h, w] = check.activation('input 0', first);
  check.float('input 0', first);
  const channels = values.map((value, i) => {
    const [, c] = check.activation(`input ${i}`, value);
    check.dtype(`input ${i}`, value, first.dtype);
    check.hasShape(`input ${i}`, value, [n, c, h, w], 'alike in all but channels');
    return c;
  });
  const shape = [n, channels.reduce((sum, c) => sum + c), h, w];
  return first.graph.emit('concat', values, [{ shape, dtype: first.dtype, format: 'activation' }])[0] as Value;
}

/** The channels from `begin` on, as many as `like` has. */
function sliceChannels(x: Value, begin: number, { shape: [, c = 0] }: Value): Value {
  const [n = 0, , h = 0, w = 0] = x.shape;
  const type = { shape: [n, c, h, w], dtype: x.dtype, format: 'activation' } as const;
  return x.graph.emit('slice_channels', [x], [type], { begin })[0] as Value;
}

defineOp('concat', {
  gradient({ inputs }, dy, needs) {
    let end = 0;
    return inputs.map((input, i) => {
      const begin = end;
      end += input.shape[1] as number;
      return needs[i] ? sliceChannels(dy, begin, input) : undefined;
    });
  },
  lowPrecision: { inputs: 'all', outputs: [0] },
});
