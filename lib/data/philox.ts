// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): a counter in, four random words
// out. Each use has its own last counter word, so that no two uses share numbers under one seed.

export const STREAM = { sampler: 1, synthetic: 2 } as const;

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;

export type Words = [number, number, number, number];

/** Ten rounds over `counter`, in place. */
export function philox(counter: Words, key0: number, key1: number): Words {
  let [c0, c1, c2, c3] = counter;
  let k0 = key0 >>> 0;
  let k1 = key1 >>> 0;
  for (let round = 0; round < 10; round++) {
    const high0 = highProduct(MULTIPLIER_0, c0);
    const high1 = highProduct(MULTIPLIER_1, c2);
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  counter[0] = c0;
  counter[1] = c1;
  counter[2] = c2;
  counter[3] = c3;
  return counter;
}

function highProduct(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  return (a1 * b1 + Math.floor(middle / 0x10000) + ((middle % 0x10000) + a0 * b1) / 0x10000) >>> 0;
}

/** The words of one counter stream, one after the other. */
export class PhiloxStream {
  readonly #key0: number;
  readonly #key1: number;
  readonly #index: number;
  readonly #stream: number;
  readonly #words: Words = [0, 0, 0, 0];
  #used = 4;
  #block = 0;

  constructor(seed: number, stream: number, index: number) {
    this.#key0 = seed >>> 0;
    this.#key1 = Math.floor(seed / 2 ** 32) >>> 0;
    this.#index = index;
    this.#stream = stream;
  }

  /** Uniform over 0 .. 2^32 - 1. */
  next(): number {
    const words = this.#words;
    if (this.#used === 4) {
      words[0] = this.#block++;
      words[1] = this.#index;
      words[2] = 0;
      words[3] = this.#stream;
      philox(words, this.#key0, this.#key1);
      this.#used = 0;
    }
    return words[this.#used++] as number;
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
