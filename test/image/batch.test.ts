import { describe, expect, it } from 'vitest';
import { type NativePicture, type NativePictureOptions, native } from '../../lib/native.ts';
import { failure } from '../binding/fixture.ts';
import { type Photo, photo, readsJpeg, usualPhotos } from './pictures.ts';

const options: NativePictureOptions = { width: 8, height: 8, filter: 'bilinear', threads: 2 };

function raw(width: number, height: number, level: (x: number, y: number, c: number) => number): NativePicture {
  const bytes = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const pixel = Math.floor(i / 3);
    return level(pixel % width, Math.floor(pixel / width), i % 3);
  });
  return { bytes, width, height, box: [0, 0, width, height], scaled: [8, 8], offset: [0, 0] };
}

describe('decoded pixels', () => {
  it('keep a gradient, in either direction', async () => {
    const { pixels, failures } = await native().readPictures(
      [raw(16, 16, (x, y, c) => [8 * x, 8 * y, 255][c] ?? 0)],
      options,
    );
    expect(failures).toEqual([]);
    const at = (x: number, y: number) => [...pixels.subarray((y * 8 + x) * 3, (y * 8 + x) * 3 + 3)];
    // Output pixel i covers input pixels 2i and 2i + 1, whose mean is 16 i + 4; its filter is symmetric around them.
    for (let i = 1; i < 7; i++) expect(at(i, 7 - i)).toEqual([16 * i + 4, 16 * (7 - i) + 4, 255]);
  });

  it('stay what they are at the same size', async () => {
    const picture = raw(8, 8, (x, y, c) => (37 * x + 91 * y + 17 * c) % 256);
    for (const filter of ['bilinear', 'bicubic'] as const) {
      const { pixels } = await native().readPictures([picture], { ...options, filter });
      expect(Buffer.compare(pixels, picture.bytes)).toBe(0);
    }
  });

  it('clip where the cubic filter overshoots', async () => {
    const { pixels } = await native().readPictures([raw(4, 4, (x) => (x < 2 ? 0 : 255))], {
      ...options,
      filter: 'bicubic',
    });
    expect(pixels[0]).toBe(0);
    expect(pixels[7 * 3]).toBe(255);
  });
});

describe.skipIf(!readsJpeg)('a batch', () => {
  const requests = Array.from({ length: 60 }, (_, i): NativePicture => {
    const { bytes } = photo((usualPhotos[i % usualPhotos.length] as Photo).name);
    const damaged = i % 7 === 3;
    return {
      bytes: damaged ? bytes.subarray(0, 900) : bytes,
      box: [i, i % 40, 20 + (i % 50), 30],
      scaled: [8, 8],
      offset: [0, 0],
      flip: i % 2 === 0,
    };
  });

  it('is the same on any number of threads, alone or beside others, damaged pictures in it', async () => {
    const { pixels: alone, failures } = await native().readPictures(requests, { ...options, threads: 1 });
    expect(failures.map(({ index }) => index)).toEqual([...requests.keys()].filter((i) => i % 7 === 3));
    const together = await Promise.all(
      [2, 5, 5, 5].map((threads) => native().readPictures(requests, { ...options, threads })),
    );
    for (const { pixels, failures: others } of together) {
      for (const [i] of requests.entries())
        if (i % 7 !== 3)
          expect(Buffer.compare(pixels.subarray(i * 192, (i + 1) * 192), alone.subarray(i * 192, (i + 1) * 192))).toBe(
            0,
          );
      expect(others).toEqual(failures);
    }
  });

  it('does not see what happens to the bytes afterwards', async () => {
    const bytes = new Uint8Array(photo('420').bytes);
    const request = { ...(requests[0] as NativePicture), bytes };
    const reading = native().readPictures([request], options);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    expect((await reading).failures).toEqual([]);
    const empty = await native().readPictures([request], options);
    expect(empty.failures).toMatchObject([{ index: 0, kind: 'damaged' }]);
  });

  it('may be empty', async () => {
    const { pixels, failures } = await native().readPictures([], options);
    expect([pixels.length, failures.length]).toEqual([0, 0]);
  });
});

describe('wrong arguments', () => {
  const picture = raw(4, 4, () => 0);
  it.each<[string, unknown, unknown, string]>([
    ['no list', {}, options, 'pictures: expected an array, got an object'],
    ['no options', [], undefined, 'options: expected an object'],
    ['no picture', [7], options, 'pictures[0]: expected an object, got 7'],
    ['no threads', [], { ...options, threads: 0 }, 'options.threads: expected an integer from 1 to 1024, got 0'],
    ['a size of zero', [], { ...options, width: 0 }, 'options.width: expected an integer from 1 to 16384'],
    [
      'another filter',
      [],
      { ...options, filter: 'box' },
      "options.filter: expected 'bilinear' or 'bicubic', got 'box'",
    ],
    ['a short box', [{ ...picture, box: [0, 0, 4] }], options, 'pictures[0].box: expected an array of 4 integers'],
    ['an empty box', [{ ...picture, box: [0, 0, 0, 4] }], options, 'pictures[0].box: the box is empty'],
    ['a box outside', [{ ...picture, box: [1, 0, 4, 4] }], options, 'pictures[0].box: it leaves the picture of 4x4'],
    ['a window outside', [{ ...picture, offset: [1, 0] }], options, 'lies outside the scaled box of 8x8'],
    ['a fraction', [{ ...picture, scaled: [8.5, 8] }], options, 'pictures[0].scaled: expected an integer'],
    ['too few bytes', [{ ...picture, bytes: new Uint8Array(47) }], options, 'expected 48 bytes, got 47'],
    ['other bytes', [{ ...picture, bytes: new Float32Array(48) }], options, 'expected a Uint8Array, got Float32Array'],
    ['half a size', [{ ...picture, height: undefined }], options, 'pictures[0].height: expected an integer'],
    ['a flip that is a number', [{ ...picture, flip: 1 }], options, 'pictures[0].flip: expected a boolean, got 1'],
  ])('%s', async (_, pictures, given, message) => {
    const error = await failure(() => native().readPictures(pictures as [], given as NativePictureOptions));
    expect(error.code).toBe('ERR_ARGUMENT');
    expect(error.message).toContain(message);
  });
});
