import { type PhiloxWords, philox4x32 } from '../philox.ts';

/** A stream of random numbers that depends on seed and name alone: adding a parameter changes no other's start. */
export class Random {
  readonly #key: readonly [number, number];
  #block = 0;
  #words: PhiloxWords = [0, 0, 0, 0];
  #used = 4;
  #spare: number | undefined;

  constructor(seed: number, name: string) {
    this.#key = [seed >>> 0, fnv1a(name)];
  }

  /** Uniform in (0, 1): the middle of one of 2^32 equal intervals. */
  uniform(): number {
    if (this.#used === 4) {
      this.#words = philox4x32([this.#block++, 0, 0, 0], this.#key);
      this.#used = 0;
    }
    return ((this.#words[this.#used++] as number) + 0.5) / 2 ** 32;
  }

  /** Standard normal (Box and Muller 1958). */
  normal(): number {
    const spare = this.#spare;
    if (spare !== undefined) {
      this.#spare = undefined;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}

/** The 32-bit FNV-1a hash of the UTF-8 bytes. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
