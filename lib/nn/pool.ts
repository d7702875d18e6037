import type { Value } from '../graph/index.ts';
import { type AvgPoolOptions, avgPool2d, globalAvgPool, maxPool2d, type Pair, type PoolOptions } from '../ops/index.ts';
import { Module } from './module.ts';

/** The largest of each window; the stride is the kernel size unless given. */
export class MaxPool2d extends Module {
  readonly options: PoolOptions;

  constructor(kernelSize: Pair, options: Omit<PoolOptions, 'kernel'> = {}) {
    super();
    this.options = { ...options, kernel: kernelSize };
  }

  override forward(x: Value): Value {
    return maxPool2d(x, this.options);
  }
}

/** The mean of each window; the stride is the kernel size unless given. */
export class AvgPool2d extends Module {
  readonly options: AvgPoolOptions;

  constructor(kernelSize: Pair, options: Omit<AvgPoolOptions, 'kernel'> = {}) {
    super();
    this.options = { ...options, kernel: kernelSize };
  }

  override forward(x: Value): Value {
    return avgPool2d(x, this.options);
  }
}

/** The mean over each channel's map, [N, C, H, W] to [N, C]: torch's AdaptiveAvgPool2d(1) and Flatten in one. */
export class GlobalAvgPool extends Module {
  override forward(x: Value): Value {
    return globalAvgPool(x);
  }
}
