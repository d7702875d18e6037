import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { Random } from '../support/random.ts';
import { type Box, meanDifference, photo, photos, pixelsOf, readsJpeg, roundingOfDecoders, size } from './pictures.ts';

describe.skipIf(!readsJpeg)('crops and resizes as Pillow does', () => {
  const cases = photos.flatMap(({ name, crops }) => crops.map((crop) => ({ name, ...crop })));

  it.each(cases)('$name, $filter, box $box', async ({ name, ...crop }) => {
    const { box, filter, pixels } = crop;
    const read = await pixelsOf(photo(name), { box, filter, scaled: [size, size] });
    expect(meanDifference(read, Buffer.from(pixels, 'base64'))).toBeLessThanOrEqual(roundingOfDecoders);
  });

  // A shrunk DCT is another antialiasing filter than Pillow's: a third of a level on photographs, where the shrunk
  // picture is at least twice as large as wanted; twice that on this finely textured one.
  const large = cases.filter(({ name }) => name === 'large');
  it.each(large)('$name, $filter, box $box, decoded smaller', async ({ name, ...crop }) => {
    const { box, filter, pixels } = crop;
    const read = await pixelsOf(photo(name), { box, filter, scaled: [size, size], shrink: true });
    expect(meanDifference(read, Buffer.from(pixels, 'base64'))).toBeLessThanOrEqual(1);
    expect(Buffer.compare(read, await pixelsOf(photo(name), { box, filter, scaled: [size, size] }))).not.toBe(0);
  });

  it('covers boxes that shrink, that grow, and every kind of file', () => {
    expect(cases.length).toBe(46);
  });
});

describe.skipIf(!readsJpeg)('a region', () => {
  const encoded = (chromaSubsampling: '4:4:4' | '4:2:0', progressive = false) =>
    sharp(photo('large').bytes).jpeg({ chromaSubsampling, progressive, quality: 90 }).toBuffer();
  const kinds: [string, () => Promise<Uint8Array>][] = [
    ['4:4:4', () => encoded('4:4:4')],
    ['4:2:0', () => encoded('4:2:0')],
    ['4:2:2', async () => photo('422').bytes],
    ['progressive', () => encoded('4:2:0', true)],
    ['grey', async () => photo('grey').bytes],
  ];

  // Of one decoder, so to the bit.
  it.each(kinds)('of a %s file is what the whole picture has there', async (_, make) => {
    const bytes = await make();
    const { width, height } = (await sharp(bytes).metadata()) as { width: number; height: number };
    const whole = await pixelsOf({ bytes, width, height });
    const random = new Random(1);
    for (let i = 0; i < 60; i++) {
      const [left, top] = [random.integer(0, width - 1), random.integer(0, height - 1)];
      const box: Box = [left, top, random.integer(1, width - left), random.integer(1, height - top)];
      const expected = cut(whole, width, box);
      expect(Buffer.compare(await pixelsOf({ bytes, width, height }, { box }), expected), `box ${box}`).toBe(0);
    }
  });

  it('of the resized picture is what the whole resized picture has there', async () => {
    const large = photo('large');
    for (const scaled of [
      [300, 200],
      [150, 100],
      [75, 50],
      [900, 600],
    ] as const) {
      const whole = await pixelsOf(large, { scaled, box: [7, 3, 612, 401], shrink: true });
      const window: Box = [31, 17, 40, 30];
      const options = { scaled, box: [7, 3, 612, 401], offset: [31, 17], width: 40, height: 30, shrink: true } as const;
      const expected = cut(whole, scaled[0], window);
      expect(Buffer.compare(await pixelsOf(large, options), expected), `${scaled}`).toBe(0);
    }
  });
});

function cut(whole: Uint8Array, width: number, [left, top, w, h]: Box): Uint8Array {
  const rows = Array.from({ length: h }, (_, y) => {
    const begin = ((top + y) * width + left) * 3;
    return whole.subarray(begin, begin + w * 3);
  });
  return Buffer.concat(rows);
}

describe.skipIf(!readsJpeg)('mirroring', () => {
  it('turns every row round', async () => {
    const picture = photo('420');
    const straight = await pixelsOf(picture, { scaled: [20, 10] });
    const mirrored = await pixelsOf(picture, { scaled: [20, 10], flip: true });
    for (let y = 0; y < 10; y++)
      for (let x = 0; x < 20; x++) {
        const [a, b] = [(y * 20 + x) * 3, (y * 20 + 19 - x) * 3];
        expect([...mirrored.subarray(a, a + 3)]).toEqual([...straight.subarray(b, b + 3)]);
      }
  });
});
