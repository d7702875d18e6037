// The weights of the golden runs, as generate.py computes them, and the signs that fold a tensor into one number.
import { elements, type Shape } from '../../lib/graph/index.ts';

/** 32-bit hash of (name, index): FNV-1a of the name, then the finaliser of MurmurHash3. */
function hasher(name: string): (index: number) => number {
  let seed = 2166136261;
  for (const byte of new TextEncoder().encode(name)) seed = Math.imul(seed ^ byte, 16777619);
  return (index) => {
    let h = (Math.imul(index, 0x9e3779b9) + seed) | 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return (h ^ (h >>> 16)) >>> 0;
  };
}

/** In [-1, 1): multiples of 2^-23, exact in float32. */
export function uniform(name: string, shape: Shape): Float64Array {
  const hash = hasher(name);
  return Float64Array.from({ length: elements(shape) }, (_, i) => (hash(i) >>> 8) / 2 ** 23 - 1);
}

/** Exact in float32, so that runs of any precision start from the same weights. */
export function initialWeights(name: string, shape: Shape): Float64Array {
  const scale = (u: number) => {
    if (name.endsWith('running_var')) return 1 + 0.5 * u;
    if (shape.length === 1) return (name.endsWith('.weight') ? 1 : 0) + 0.125 * u;
    return u * Math.sqrt(6 / elements(shape.slice(1)));
  };
  return uniform(name, shape).map((u) => Math.fround(scale(u)));
}

/** What generate.py stores of a tensor: its 2-norm, its product with fixed signs, and (at most `most`) evenly spaced elements. */
export interface Sample {
  readonly norm: number;
  readonly signed: number;
  readonly elements: readonly number[];
}

export function sample(name: string, values: ArrayLike<number>, most = 32): Sample {
  const hash = hasher(`signs:${name}`);
  const numbers = Array.from(values);
  const count = Math.min(most, numbers.length);
  return {
    norm: Math.sqrt(numbers.reduce((sum, x) => sum + x * x, 0)),
    signed: numbers.reduce((sum, x, i) => sum + (hash(i) >>> 31 ? -x : x), 0),
    elements: Array.from({ length: count }, (_, i) => numbers[Math.floor((i * numbers.length) / count)] as number),
  };
}

/**
 * How far `found` is from `truth`, relative to the tensor's 2-norm: the largest of the error of the norm, of the product
 * with the signs, and of the elements (scaled up to the whole tensor).
 */
export function distance(found: Sample, truth: Sample, size: number): number {
  const squares = truth.elements.reduce((sum, x, i) => sum + (x - (found.elements[i] as number)) ** 2, 0);
  const elementwise = Math.sqrt((squares * size) / truth.elements.length);
  return Math.max(Math.abs(found.norm - truth.norm), Math.abs(found.signed - truth.signed), elementwise) / truth.norm;
}
