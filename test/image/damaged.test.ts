// Whatever the bytes are: a picture, or an error of that picture alone.
import { describe, expect, it } from 'vitest';
import { native } from '../../lib/native.ts';
import { Random } from '../support/random.ts';
import { photo, read, readsJpeg } from './pictures.ts';

const faultOf = async (bytes: Uint8Array, options: Parameters<typeof read>[1] = {}) => {
  const { failures } = await read({ bytes, width: 149, height: 98 }, { scaled: [8, 8], ...options });
  return failures[0];
};

describe.skipIf(!readsJpeg)('a JPEG file', () => {
  it.each(['420', 'progressive', 'grey'])('of kind %s that is cut short, at every byte', async (kind) => {
    const { bytes } = photo(kind);
    const request = { box: [0, 0, 149, 9], scaled: [8, 8], offset: [0, 0] } as const; // the top alone is decoded
    const cuts = Array.from({ length: bytes.length }, (_, length) => ({
      bytes: bytes.subarray(0, length),
      ...request,
    }));
    const options = { width: 8, height: 8, filter: 'bilinear', threads: 2 } as const;
    const { failures } = await native().readPictures(cuts, options);
    expect(failures.length).toBe(bytes.length);
    expect(failures.every(({ index }, i) => index === i)).toBe(true);
    expect(new Set(failures.map((failure) => failure.kind))).toEqual(new Set(['damaged']));
    expect(failures.at(-1)?.message).toContain('cut short');
    const tolerant = await native().readPictures(cuts, { ...options, tolerant: true });
    expect(tolerant.failures.length).toBeLessThan(bytes.length);
    expect(tolerant.failures.length).toBeGreaterThan(100); // no header, no picture
  });

  it.each(['444', '420', 'progressive', 'grey'])(
    'of kind %s with flipped bits never ends the process',
    async (kind) => {
      const { bytes } = photo(kind);
      const random = new Random(kind);
      const wrecks = Array.from({ length: 1500 }, () => {
        const wreck = new Uint8Array(bytes);
        const header = random.uniform() < 0.5;
        for (let flips = random.integer(1, 6); flips > 0; flips--) {
          const at = random.integer(2, header ? 700 : bytes.length - 1);
          wreck[at] = (wreck[at] as number) ^ (1 << random.integer(0, 7));
        }
        return { bytes: wreck, box: [3, 3, 100, 80], scaled: [8, 8], offset: [0, 0] } as const;
      });
      for (const tolerant of [false, true]) {
        const options = { width: 8, height: 8, filter: 'bilinear', threads: 2, tolerant } as const;
        const { failures } = await native().readPictures(wrecks, options);
        expect(failures.length).toBeGreaterThan(100);
        expect(failures.every(({ message }) => message.length > 0)).toBe(true);
      }
    },
  );

  it.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(0), 'damaged'],
    ['text', Buffer.from('no picture'), 'damaged'],
    ['two start markers', Buffer.from('ffd8ffd8', 'hex'), 'damaged'],
  ])('that is %s', async (_, bytes, kind) => {
    expect(await faultOf(bytes)).toMatchObject({ index: 0, kind });
  });

  it('that claims more pixels than any picture has', async () => {
    const bytes = new Uint8Array(photo('420').bytes);
    const frame = bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === 0xc0);
    bytes.fill(0xf0, frame + 5, frame + 9);
    expect(await faultOf(bytes)).toMatchObject({ kind: 'damaged', message: expect.stringContaining('61680x61680') });
  });

  it('of 12 bits, or in CMYK, is for another decoder', async () => {
    const { bytes } = photo('420');
    expect(await faultOf(photo('cmyk').bytes)).toMatchObject({
      kind: 'unsupported',
      message: expect.stringContaining('4 components'),
    });
    const deep = new Uint8Array(bytes);
    const frame = deep.findIndex((byte, i) => byte === 0xff && deep[i + 1] === 0xc0);
    deep[frame + 1] = 0xc1; // extended sequential, which may have 12 bits
    deep[frame + 4] = 12;
    expect(await faultOf(deep)).toMatchObject({ kind: 'unsupported' });
  });

  it('that is smaller than the box says so', async () => {
    expect(await faultOf(photo('420').bytes, { box: [100, 0, 50, 10] })).toMatchObject({
      kind: 'damaged',
      message: expect.stringContaining('it is 149x98'),
    });
  });
});
