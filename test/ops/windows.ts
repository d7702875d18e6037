// What convolutions and poolings of the cases share.
import type { Size } from './single.ts';

export interface Window {
  readonly kernel: readonly [number, number];
  readonly stride?: readonly [number, number];
  readonly padding?: readonly [number, number, number, number];
  readonly dilation?: readonly [number, number];
}

export const same = [1, 1, 1, 1] as const;

/** As PyTorch computes it; a last window in ceil mode must start before the padded end. */
export function outputSize([, , ...size]: Size, window: Required<Window>, ceil = false): [number, number] {
  const { kernel, stride, padding, dilation } = window;
  return size.map((input, axis) => {
    const [before, after] = [padding[axis] as number, padding[axis + 2] as number];
    const step = stride[axis] as number;
    const room = input + before + after - (dilation[axis] as number) * ((kernel[axis] as number) - 1) - 1;
    const count = Math[ceil ? 'ceil' : 'floor'](room / step) + 1;
    return ceil && (count - 1) * step >= input + before ? count - 1 : count;
  }) as [number, number];
}
