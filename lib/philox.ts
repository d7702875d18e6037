// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): the counter-based random numbers
// of initialisers, samplers and generated data. It knows nothing and every room may use it.

export type PhiloxWords = readonly [number, number, number, number];

const multiplier0 = 0xd2511f53;
const multiplier1 = 0xcd9e8d57;
const weyl0 = 0x9e3779b9;
const weyl1 = 0xbb67ae85;
const rounds = 10;

/** Four random 32-bit words for a counter of four and a key of two. */
export function philox4x32([c0, c1, c2, c3]: PhiloxWords, [k0, k1]: readonly [number, number]): PhiloxWords {
  let [x0, x1, x2, x3] = [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0];
  let [key0, key1] = [k0 >>> 0, k1 >>> 0];
  for (let round = 0; round < rounds; round++) {
    const low0 = Math.imul(multiplier0, x0) >>> 0;
    const low1 = Math.imul(multiplier1, x2) >>> 0;
    const high0 = multiplyHigh(multiplier0, x0);
    const high1 = multiplyHigh(multiplier1, x2);
    x0 = (high1 ^ x1 ^ key0) >>> 0;
    x2 = (high0 ^ x3 ^ key1) >>> 0;
    x1 = low1;
    x3 = low0;
    key0 = (key0 + weyl0) >>> 0;
    key1 = (key1 + weyl1) >>> 0;
  }
  return [x0, x1, x2, x3];
}

/** The upper 32 bits of a 64-bit product; every partial sum stays below 2^53. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const other = aLow * bHigh + (middle % 0x10000);
  return aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(other / 0x10000);
}
