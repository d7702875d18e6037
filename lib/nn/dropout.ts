import { ArgumentError, type Value } from '../graph/index.ts';
import { dropout } from '../ops/index.ts';
import { Module } from './module.ts';

/**
 * In a training graph zeroes a share `p` of the elements and scales the others by 1 / (1 - p); elsewhere passes its
 * input on. The mask follows from the variables `seed` and `step` (int32 [1]), which belong to the step: whoever builds
 * it counts `step`.
 */
export class Dropout extends Module {
  readonly p: number;

  constructor(p = 0.5) {
    super();
    if (!(p >= 0 && p < 1)) throw new ArgumentError(`Dropout: p must be from 0 to below 1, got ${p}`);
    this.p = p;
  }

  override forward(x: Value): Value {
    const { graph } = x;
    if (!graph.training || this.p === 0) return x;
    const counter = { shape: [1], dtype: 'int32' } as const;
    const seed = graph.variable('seed', { ...counter, initial: (value) => Int32Array.of(value) });
    const step = graph.variable('step', { ...counter, initial: Int32Array.of(0) });
    return dropout(x, { p: this.p, random: { seed, step } });
  }
}
