import { describe, expect, it } from 'vitest';
import { channelStatistics, Sampler } from '../../lib/data/index.ts';
import { philox4x32 } from '../../lib/philox.ts';

describe('philox4x32', () => {
  // Random123's kat_vectors, philox4x32 with 10 rounds.
  it.each<[number[], number[], number[]]>([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])('of %j under %j', (counter, key, words) => {
    expect(philox4x32(counter as never, key as never)).toEqual(words);
  });
});

describe('Sampler', () => {
  it('visits every index once', () => {
    const order = new Sampler({ count: 1000, seed: 1 }).order(0);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });

  it('depends on seed and epoch alone', () => {
    const order = (seed: number, epoch: number) => new Sampler({ count: 100, seed }).order(epoch);
    const used = new Sampler({ count: 100, seed: 5 });
    used.order(0);
    expect(used.order(3)).toEqual(order(5, 3));
    expect(order(5, 4)).not.toEqual(order(5, 3));
    expect(order(6, 3)).not.toEqual(order(5, 3));
    expect(order(5 + 2 ** 32, 3)).not.toEqual(order(5, 3));
  });

  it('keeps the order of the set without shuffling', () => {
    expect([...new Sampler({ count: 4, shuffle: false }).order(7)]).toEqual([0, 1, 2, 3]);
  });

  it('puts every index at every place equally often', () => {
    const count = 5;
    const epochs = 5000;
    const table = new Float64Array(count * count);
    const sampler = new Sampler({ count, seed: 2 });
    for (let epoch = 0; epoch < epochs; epoch++)
      for (const [place, index] of sampler.order(epoch).entries()) (table[place * count + index] as number) += 1;
    const expected = epochs / count;
    const chiSquare = table.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    // 16 degrees of freedom: above 39.3 once in a thousand seeds.
    expect(chiSquare).toBeLessThan(39.3);
  });

  it.each([
    { count: -1 },
    { count: 1.5 },
    { count: 3, seed: -1 },
    { count: 3, seed: 2 ** 53 },
    { count: 3, seed: Number.NaN },
  ])('refuses %j', (options) => {
    expect(() => new Sampler(options)).toThrow(RangeError);
  });

  it.each([-1, 0.5, Number.NaN])('refuses epoch %d', (epoch) => {
    expect(() => new Sampler({ count: 3 }).order(epoch)).toThrow(/epoch/);
  });
});

describe('channelStatistics', () => {
  it('is the mean and population deviation of pixel / 255, by channel', () => {
    const { mean, std } = channelStatistics({ images: Uint8Array.of(0, 255, 7, 51, 255, 7), channels: 3 });
    expect(mean).toEqual([0.1, 1, expect.closeTo(7 / 255, 15)]);
    expect(std).toEqual([expect.closeTo(0.1, 15), 0, 0]);
  });
});
