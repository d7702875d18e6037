import type { Value } from '../graph/index.ts';
import { type LocalResponseNormOptions, localResponseNorm } from '../ops/index.ts';
import { Module } from './module.ts';

/** Divides by the energy of `size` neighbouring channels; defaults as torch.nn.LocalResponseNorm. */
export class LocalResponseNorm extends Module {
  readonly options: LocalResponseNormOptions;

  constructor(size: number, options: Omit<LocalResponseNormOptions, 'size'> = {}) {
    super();
    this.options = { ...options, size };
  }

  override forward(x: Value): Value {
    return localResponseNorm(x, this.options);
  }
}
