import { type PhiloxWords, philox4x32 } from '../philox.ts';

/** Each use has its own last counter word, so that no two uses share numbers under one seed. */
export const STREAM = { sampler: 1, synthetic: 2, crop: 3 } as const;

/** Random numbers that depend on seed, use, index and epoch alone. */
export class RandomStream {
  readonly #key: readonly [number, number];
  readonly #index: number;
  readonly #epoch: number;
  readonly #stream: number;
  #words: PhiloxWords = [0, 0, 0, 0];
  #used = 4;
  #block = 0;

  constructor(seed: number, stream: number, index: number, epoch = 0) {
    this.#key = [seed % 2 ** 32, Math.floor(seed / 2 ** 32)];
    this.#stream = stream;
    this.#index = index;
    this.#epoch = epoch;
  }

  /** Uniform over 0 .. 2^32 - 1. */
  next(): number {
    if (this.#used === 4) {
      this.#words = philox4x32([this.#block++, this.#index, this.#epoch, this.#stream], this.#key);
      this.#used = 0;
    }
    return this.#words[this.#used++] as number;
  }

  /** Uniform over 0 .. n - 1. */
  below(n: number): number {
    return Math.floor((this.next() / 2 ** 32) * n);
  }

  /** Uniform over [low, high). */
  between(low: number, high: number): number {
    return low + (this.next() / 2 ** 32) * (high - low);
  }
}

export function checkSeed(seed: number): number {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new RangeError(`seed must be an integer from 0 to 2^53 - 1, not ${seed}`);
  return seed;
}
