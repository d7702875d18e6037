import { describe, expect, it } from 'vitest';
import { init } from '../../lib/nn/index.ts';
import { Random } from '../../lib/nn/random.ts';
import { philox4x32 } from '../../lib/philox.ts';

const hex = (words: readonly number[]) => words.map((word) => word.toString(16).padStart(8, '0')).join(' ');

describe('philox4x32', () => {
  // Known answers of the authors' Random123 distribution (tests/kat_vectors, philox4x32 10).
  it.each([
    [[0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], 'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ] as const)('of counter %j and key %j', (counter, key, words) => {
    expect(hex(philox4x32([...counter], [...key]))).toBe(words);
  });
});

function sample(initialiser: ReturnType<typeof init.constant>, shape: readonly number[]) {
  const next = initialiser(shape, new Random(3, 'weight'));
  const values = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next);
  const mean = values.reduce((a, b) => a + b) / values.length;
  const std = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  return { mean, std, largest: Math.max(...values.map(Math.abs)), count: values.length };
}

/** With 73,728 draws the sample's std lies within 1 % of the true one but for one time in 10^4. */
const shape = [128, 64, 3, 3];
const fanIn = 64 * 9;
const fanOut = 128 * 9;

describe('init', () => {
  it.each([
    ['kaimingNormal fanIn', init.kaimingNormal(), Math.sqrt(2 / fanIn)],
    ['kaimingNormal fanOut', init.kaimingNormal({ mode: 'fanOut' }), Math.sqrt(2 / fanOut)],
    ['kaimingUniform gain 1', init.kaimingUniform({ gain: 1 }), Math.sqrt(1 / fanIn)],
    ['kaimingUniform fanOut', init.kaimingUniform({ mode: 'fanOut' }), Math.sqrt(2 / fanOut)],
    ['xavierNormal', init.xavierNormal(), Math.sqrt(2 / (fanIn + fanOut))],
    ['xavierUniform', init.xavierUniform({ gain: 2 }), 2 * Math.sqrt(2 / (fanIn + fanOut))],
    ['normal', init.normal(0, 0.01), 0.01],
  ])('%s has the std of its formula', (_name, initialiser, std) => {
    const found = sample(initialiser, shape);
    expect(Math.abs(found.std / std - 1)).toBeLessThan(0.01);
    expect(Math.abs(found.mean)).toBeLessThan((4 * std) / Math.sqrt(found.count));
  });

  it('uniforms stay within √3 std', () => {
    const { largest } = sample(init.kaimingUniform(), shape);
    const bound = Math.sqrt(6 / fanIn);
    expect(largest).toBeLessThan(bound);
    expect(largest).toBeGreaterThan(0.999 * bound);
  });

  it('constants are constant', () => {
    expect(sample(init.constant(0.5), [7])).toEqual({ mean: 0.5, std: 0, largest: 0.5, count: 7 });
  });

  it('refuses numbers that are none, and shapes without fans', () => {
    expect(() => init.constant(Number.NaN)).toThrow('init.constant: value must be a finite number, got NaN');
    expect(() => sample(init.kaimingNormal(), [7])).toThrow('a fan needs at least two axes, got [7]');
  });
});
