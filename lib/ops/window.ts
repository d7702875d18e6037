// Sizes of sliding windows, shared by convolution and pooling.
import type { Check, Padding, Pair } from './check.ts';

export interface WindowOptions {
  /** Default 1 for convolution; for pooling the kernel size. */
  readonly stride?: Pair;
  readonly padding?: Padding;
  readonly dilation?: Pair;
}

export interface Window {
  readonly kernel: readonly [h: number, w: number];
  readonly stride: readonly [h: number, w: number];
  /** [top, left, bottom, right] */
  readonly padding: readonly [number, number, number, number];
  readonly dilation: readonly [h: number, w: number];
}

/** The windows of `kernel` over [H, W]; padding is resolved to its four numbers. */
export function windowOf(
  check: Check,
  size: readonly [number, number],
  kernel: readonly [number, number],
  { stride: strides = 1, padding: sides = 0, dilation: dilations = 1 }: WindowOptions,
): Window {
  const stride = check.pair('stride', strides, 1);
  const dilation = check.pair('dilation', dilations, 1);
  if (sides !== 'same' && sides !== 'fixed') return { kernel, stride, padding: check.padding(sides), dilation };
  const [height, width] = [0, 1].map((axis) => {
    const extent = extentOf(kernel[axis] as number, dilation[axis] as number);
    return sides === 'same' ? samePadding(size[axis] as number, extent, stride[axis] as number) : extent - 1;
  }) as [number, number];
  const [top, left] = [Math.floor(height / 2), Math.floor(width / 2)];
  return { kernel, stride, padding: [top, left, height - top, width - left], dilation };
}

/** What ceil(input / stride) windows reach beyond the input. */
function samePadding(input: number, extent: number, stride: number): number {
  return Math.max((Math.ceil(input / stride) - 1) * stride + extent - input, 0);
}

function extentOf(kernel: number, dilation: number): number {
  return dilation * (kernel - 1) + 1;
}

/** The names of WindowOptions. */
export const windowOptions = ['stride', 'padding', 'dilation'] as const;

/** [H', W'] of windows over [H, W]. With `ceilMode` a last window may run over the padded edge, if it starts before it. */
export function outputSize(
  check: Check,
  size: readonly [number, number],
  window: Window,
  ceilMode = false,
): [number, number] {
  return [0, 1].map((axis) => {
    const { before, after, kernel, stride, dilation } = along(window, axis);
    const input = size[axis] as number;
    const extent = extentOf(kernel, dilation);
    const room = (input + before + after - extent) / stride;
    const count = (ceilMode ? Math.ceil(room) : Math.floor(room)) + 1;
    if (count < 1) {
      const name = axis === 0 ? 'height' : 'width';
      const padded = `${input} + ${before} + ${after}`;
      throw check.shape(`the window covers ${extent} of the ${name}, the padded input has only ${padded}`);
    }
    return ceilMode && (count - 1) * stride >= input + before ? count - 1 : count;
  }) as [number, number];
}

/** Pooling has nothing to say about a window that covers only padding. */
export function checkWindows(
  check: Check,
  size: readonly [number, number],
  window: Window,
  output: readonly [number, number],
) {
  for (const axis of [0, 1]) {
    const { before, after, kernel, stride, dilation } = along(window, axis);
    const half = Math.floor(extentOf(kernel, dilation) / 2);
    if (before > half || after > half) {
      throw check.argument(`padding must be at most half the window (${half}), got ${Math.max(before, after)}`);
    }
    const input = size[axis] as number;
    const inside = (start: number) =>
      Array.from({ length: kernel }, (_, i) => start + i * dilation).some((place) => place >= 0 && place < input);
    for (let i = 0; i < (output[axis] as number); i++) {
      if (!inside(i * stride - before)) {
        throw check.shape(`a window holds nothing but padding (input ${input}, kernel ${kernel}, padding ${before})`);
      }
    }
  }
}

function along({ kernel, stride, padding, dilation }: Window, axis: number) {
  return {
    kernel: kernel[axis] as number,
    stride: stride[axis] as number,
    dilation: dilation[axis] as number,
    before: padding[axis] as number,
    after: padding[axis + 2] as number,
  };
}
