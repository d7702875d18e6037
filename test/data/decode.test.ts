import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodePictures } from '../../lib/data/decode.ts';
import { DataError, readImages } from '../../lib/data/index.ts';
import { errorOf, png, scratchFolder, writeFiles } from './helpers.ts';

interface Fixtures {
  readonly height: number;
  readonly width: number;
  readonly fixtures: readonly { readonly name: string; readonly file: string; readonly pixels: string }[];
}

const pillow = JSON.parse(await readFile(new URL('pillow_fixtures.json', import.meta.url), 'utf8')) as Fixtures;

const picture = (file: string, bytes: Uint8Array) => ({ file, read: async () => bytes });

describe('decodes as Pillow does', () => {
  // One level: libjpeg-turbo's releases round the colour conversion of some pixels differently.
  it.each(pillow.fixtures)('$name', async ({ name, file, pixels }) => {
    const decoded = await decodePictures('here', [picture(name, Buffer.from(file, 'base64'))], {});
    expect([decoded.height, decoded.width, decoded.channels]).toEqual([pillow.height, pillow.width, 3]);
    const expected = Buffer.from(pixels, 'base64');
    expect(decoded.pixels.length).toBe(expected.length);
    const difference = decoded.pixels.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - (expected[i] as number))),
      0,
    );
    expect(difference).toBeLessThanOrEqual(/lossy|jpg/.test(name) ? 1 : 0);
  });

  it('covers every kind', () => {
    expect(pillow.fixtures.length).toBe(10);
  });
});

describe('kinds that Pillow and libvips turn into other colours', () => {
  it('gives three channels of a CMYK JPEG and a 16-bit PNG', async () => {
    const image = sharp(await png(200, 100, 50));
    const cmyk = await image.clone().toColourspace('cmyk').jpeg().toBuffer();
    const deep = await image.clone().toColourspace('rgb16').png().toBuffer();
    const { pixels, channels } = await decodePictures('here', [picture('a.jpg', cmyk), picture('b.png', deep)], {});
    expect(channels).toBe(3);
    expect(pixels.length).toBe(2 * 8 * 8 * 3);
    expect([...pixels.subarray(8 * 8 * 3, 8 * 8 * 3 + 3)]).toEqual([200, 100, 50]);
  });
});

describe('sizes and channels', () => {
  it('resizes to cover, and crops the centre', async () => {
    const raw = Buffer.alloc(8 * 16 * 3, 0);
    for (let y = 0; y < 8; y++) for (let x = 4; x < 12; x++) raw.fill(200, (y * 16 + x) * 3, (y * 16 + x + 1) * 3);
    const wide = await sharp(raw, { raw: { width: 16, height: 8, channels: 3 } })
      .png()
      .toBuffer();
    const { pixels } = await decodePictures('here', [picture('wide.png', wide)], { size: [8, 8] });
    expect(pixels.every((value) => value === 200)).toBe(true);
  });

  it('gives one grey channel on request', async () => {
    const { pixels, channels } = await decodePictures('here', [picture('a.png', await png(90, 90, 90))], {
      channels: 1,
    });
    expect(channels).toBe(1);
    expect([...pixels.subarray(0, 2)]).toEqual([90, 90]);
    expect(pixels.length).toBe(64);
  });

  it('names what has another size', async () => {
    const pictures = [picture('a.png', await png(1, 1, 1)), picture('b.png', await png(1, 1, 1, 9, 8))];
    const error = (await errorOf(decodePictures('here', pictures, { skipDamaged: true }))) as DataError;
    expect(error).toBeInstanceOf(DataError);
    expect(error.file).toBe('b.png');
    expect(error.message).toMatch(/1 of 2 pictures are not 8x8\. Give a size.*\n {2}b\.png: is 9x8/);
  });
});

describe('damaged files', () => {
  let jpeg: Buffer;
  beforeAll(async () => {
    const noise = Buffer.from(Array.from({ length: 32 * 32 * 3 }, (_, i) => (i * 7919) % 256));
    jpeg = await sharp(noise, { raw: { width: 32, height: 32, channels: 3 } })
      .jpeg()
      .toBuffer();
  });

  /** A PNG header that claims this size. */
  async function pngOfSize(width: number, height: number): Promise<Buffer> {
    const bytes = await png(1, 2, 3);
    bytes.writeUInt32BE(width, 16);
    bytes.writeUInt32BE(height, 20);
    bytes.writeUInt32BE(crc32(bytes.subarray(12, 29)), 29);
    return bytes;
  }

  it.each<[string, () => Promise<Uint8Array> | Uint8Array]>([
    ['a truncated JPEG', () => jpeg.subarray(0, jpeg.length - 100)],
    ['a JPEG cut in its header', () => jpeg.subarray(0, 100)],
    ['an empty file', () => new Uint8Array(0)],
    ['text', () => Buffer.from('no picture')],
    ['a truncated PNG', async () => (await png(1, 2, 3, 64, 64)).subarray(0, 80)],
    ['a PNG of 0x0', () => pngOfSize(0, 0)],
    ['a PNG that claims 65535x65535', () => pngOfSize(65535, 65535)],
    ['a PNG of 8x8 that claims 8x9', () => pngOfSize(8, 9)],
  ])('%s', async (_, make) => {
    const bytes = await make();
    const error = (await errorOf(decodePictures('here', [picture('bad.jpg', bytes)], {}))) as DataError;
    expect(error).toBeInstanceOf(DataError);
    expect(error.file).toBe('bad.jpg');
    expect(error.message).toMatch(/1 of 1 pictures cannot be decoded\. Mend or remove.*\n {2}bad\.jpg: ./);
  });

  it('are counted, and ten of them listed', async () => {
    const good = picture('good.jpg', jpeg);
    const bad = Array.from({ length: 13 }, (_, i) => picture(`bad${i}.jpg`, jpeg.subarray(0, 300)));
    const error = (await errorOf(decodePictures('here', [good, ...bad], {}))) as DataError;
    expect(error.file).toBe('here');
    expect(error.message).toMatch(/^here: 13 of 14 pictures cannot be decoded/);
    expect(error.message).toContain('bad9.jpg');
    expect(error.message).not.toContain('bad10.jpg');
    expect(error.message).toContain('and 3 more');
  });

  it('are left out only on request, and the first one sets no size', async () => {
    const pictures = [picture('bad.jpg', jpeg.subarray(0, 300)), picture('good.jpg', jpeg)];
    const { pixels, indices } = await decodePictures('here', pictures, { skipDamaged: true });
    expect(indices).toEqual([1]);
    expect(pixels.length).toBe(32 * 32 * 3);
  });
});

describe('readImages', () => {
  it('reads files of any size into one array', async () => {
    const folder = await scratchFolder();
    await writeFiles(folder, { 'a.png': await png(9, 8, 7, 8, 8), 'b.png': await png(1, 2, 3, 40, 20) });
    const pixels = await readImages([join(folder, 'a.png'), join(folder, 'b.png')], {
      height: 8,
      width: 8,
      channels: 3,
    });
    expect(pixels.length).toBe(2 * 8 * 8 * 3);
    expect([...pixels.subarray(0, 3), ...pixels.subarray(-3)]).toEqual([9, 8, 7, 1, 2, 3]);
  });

  it('names a missing file', async () => {
    const missing = join(await scratchFolder(), 'no.jpg');
    const error = (await errorOf(readImages([missing], { height: 8, width: 8, channels: 3 }))) as DataError;
    expect(error).toBeInstanceOf(DataError);
    expect(error.message).toContain(`${missing}: there is no such file`);
  });
});

describe('files that are odd, but decode', () => {
  const odd: [string, Uint8Array[], number[]][] = [
    [
      'a palette index out of range is black',
      [header(2, 1, 3), chunk('PLTE', Buffer.of(10, 20, 30)), chunk('IDAT', deflateSync(Buffer.of(0, 0, 5)))],
      [10, 20, 30, 0, 0, 0],
    ],
    [
      'a colour profile of 200 MB is not unpacked',
      [
        header(2, 1, 2),
        chunk('iCCP', Buffer.concat([Buffer.from('x\0\0'), deflateSync(Buffer.alloc(200 << 20))])),
        chunk('IDAT', deflateSync(Buffer.of(0, 1, 2, 3, 4, 5, 6))),
      ],
      [1, 2, 3, 4, 5, 6],
    ],
  ];

  it.each(odd)('%s', async (_, chunks, expected) => {
    const signature = Buffer.from('89504e470d0a1a0a', 'hex');
    const bytes = Buffer.concat([signature, ...chunks, chunk('IEND', Buffer.alloc(0))]);
    const before = process.memoryUsage().rss;
    const { pixels } = await decodePictures('here', [picture('odd.png', bytes)], {});
    expect([...pixels]).toEqual(expected);
    expect(process.memoryUsage().rss - before).toBeLessThan(100 << 20);
  });

  it('an interlaced PNG', async () => {
    const bytes = await sharp(await png(5, 6, 7))
      .png({ progressive: true })
      .toBuffer();
    const { pixels } = await decodePictures('here', [picture('interlaced.png', bytes)], {});
    expect([...pixels.subarray(0, 3)]).toEqual([5, 6, 7]);
  });
});

function header(width: number, height: number, colourType: number): Buffer {
  const bytes = Buffer.alloc(13);
  bytes.writeUInt32BE(width, 0);
  bytes.writeUInt32BE(height, 4);
  bytes.set([8, colourType], 8);
  return chunk('IHDR', bytes);
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
