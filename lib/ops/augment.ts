import { defineOp, type Value } from '../graph/index.ts';
import { Check, type Pair } from './check.ts';

export interface AugmentOptions {
  /** Output [h, w]; default: as the images. */
  readonly size?: Pair;
  /** Black pixels added on every side before cropping. Default 0. */
  readonly padding?: number;
  /** Mirror half of the images left to right; needs `random`. Default false. */
  readonly flip?: boolean;
  /** Per channel, of pixel / 255. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Crop and flip at random, as a function of seed, step (both int32 [1]) and place in the batch; else the centre. */
  readonly random?: { readonly seed: Value; readonly step: Value } | undefined;
}

/** Images, uint8 [N, H, W, C], to normalised activations [N, C, h, w]: pad, crop, flip, (pixel / 255 - mean) / std. */
export function augment(images: Value, options: AugmentOptions): Value {
  const { graph } = images;
  const check = new Check(graph, 'augment');
  check.options(options, 'size', 'padding', 'flip', 'mean', 'std', 'random');
  check.dtype('images', images, 'uint8');
  if (images.format !== 'plain' || images.shape.length !== 4) {
    throw check.shape(`images must be plain [N, H, W, C], got ${images.format} [${images.shape.join(',')}]`);
  }
  const [n, height, width, channels] = images.shape as unknown as [number, number, number, number];
  const padding = check.integer('padding', options.padding ?? 0, 0);
  const flip = check.flag('flip', options.flip ?? false);
  if (flip && !options.random) throw check.argument('flip needs random: { seed, step }');
  const [h, w] = check.pair('size', options.size ?? [height, width], 1);
  if (h > height + 2 * padding || w > width + 2 * padding) {
    throw check.shape(`size [${h}, ${w}] is larger than the images [${height}, ${width}] with padding ${padding}`);
  }
  const mean = check.numbers('mean', options.mean, channels, 'a finite number', () => true);
  const std = check.numbers('std', options.std, channels, 'a number above 0', (value) => value > 0);
  const inputs = options.random ? [images, ...randomInputs(check, options.random)] : [images];
  const type = { shape: [n, channels, h, w], dtype: graph.dtype, format: 'activation' } as const;
  return graph.emit('augment', inputs, [type], { padding, flip, mean, std })[0] as Value;
}

function randomInputs(check: Check, { seed, step }: { readonly seed: Value; readonly step: Value }): Value[] {
  check.counter('seed', seed);
  check.counter('step', step);
  return [seed, step];
}

defineOp('augment', { lowPrecision: { inputs: [], outputs: [0] } });
