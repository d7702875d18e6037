import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { type Box, noise, resizedNoise, sha256 } from './pictures.ts';

interface Resize {
  readonly width: number;
  readonly height: number;
  readonly box: Box;
  readonly scaled: readonly [number, number];
  readonly filter: 'bilinear' | 'bicubic';
  readonly sha256: string;
}

const text = await readFile(new URL('../data/pillow_resizes.json', import.meta.url), 'utf8');
const { resizes } = JSON.parse(text) as { readonly resizes: readonly Resize[] };

describe('resizes to the bit as Pillow does', () => {
  it.each(resizes)('$width x $height, box $box to $scaled, $filter', async ({ sha256: expected, ...resize }) => {
    expect(sha256(await resizedNoise(resize))).toBe(expected);
  });

  it('where they are that many', () => {
    expect(resizes.length).toBe(24);
  });
});

describe('part of a resized picture', () => {
  it.each(['bilinear', 'bicubic'] as const)('is what the whole has there, %s', async (filter) => {
    const [scaled, offset, width, height] = [[61, 83], [13, 29], 40, 30] as const;
    for (const box of [
      [7, 3, 120, 90],
      [7, 3, 40, 30],
      [0, 0, 50, 200],
    ] as const) {
      const picture = { width: 150, height: 210, box, scaled, filter };
      const whole = await resizedNoise(picture);
      const part = await resizedNoise({ ...picture, offset, size: [width, height] });
      const expected = Array.from({ length: height }, (_, y) => {
        const begin = ((offset[1] + y) * scaled[0] + offset[0]) * 3;
        return whole.subarray(begin, begin + width * 3);
      });
      expect(Buffer.compare(part, Buffer.concat(expected)), `box ${box}`).toBe(0);
    }
  });
});

describe('noise', () => {
  it('is what the script of the expectations makes', () => {
    expect([...noise(2, 1)]).toEqual([0, 198, 140, 83, 25, 223]);
  });
});
