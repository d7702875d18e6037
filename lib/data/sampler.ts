import { checkSeed, RandomStream, STREAM } from './random.ts';

export interface SamplerOptions {
  readonly count: number;
  readonly seed?: number;
  /** Default true; false gives 0, 1, 2 ... in every epoch. */
  readonly shuffle?: boolean;
}

/** The order in which an epoch visits a set: a pure function of seed and epoch, so a resumed run needs no state. */
export class Sampler {
  readonly count: number;
  readonly seed: number;
  readonly shuffle: boolean;

  constructor({ count, seed = 0, shuffle = true }: SamplerOptions) {
    if (!Number.isInteger(count) || count < 0 || count > 2 ** 31 - 1)
      throw new RangeError(`sampler: count must be an integer from 0 to 2^31 - 1, not ${count}`);
    this.count = count;
    this.seed = checkSeed(seed);
    this.shuffle = shuffle;
  }

  order(epoch: number): Int32Array {
    if (!Number.isInteger(epoch) || epoch < 0 || epoch >= 2 ** 32)
      throw new RangeError(`sampler: epoch must be an integer from 0 to 2^32 - 1, not ${epoch}`);
    const order = Int32Array.from({ length: this.count }, (_, i) => i);
    if (!this.shuffle) return order;
    const random = new RandomStream(this.seed, STREAM.sampler, epoch);
    for (let i = this.count - 1; i > 0; i--) {
      const j = random.below(i + 1);
      const held = order[i] as number;
      order[i] = order[j] as number;
      order[j] = held;
    }
    return order;
  }
}
