import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { DataError, openDataSet } from '../../lib/data/index.ts';
import { errorOf, type Files, scratchFolder, writeFiles } from './helpers.ts';

const root = await scratchFolder();
let count = 0;
let folder: string;
beforeEach(() => {
  folder = join(root, `${count++}`);
});

function idx(dimensions: number[], data: number[] | Uint8Array, type = 0x08, rank = dimensions.length): Buffer {
  const head = Buffer.alloc(4 + 4 * dimensions.length);
  head[2] = type;
  head[3] = rank;
  for (const [i, n] of dimensions.entries()) head.writeUInt32BE(n, 4 + 4 * i);
  return Buffer.concat([head, Buffer.from(data)]);
}

const images = (n: number) =>
  idx(
    [n, 2, 3],
    Array.from({ length: n * 6 }, (_, i) => i),
  );

const mnist = (): Files => ({
  'train-images-idx3-ubyte': images(3),
  'train-labels-idx1-ubyte': idx([3], [5, 0, 9]),
  't10k-images-idx3-ubyte': images(1),
  't10k-labels-idx1-ubyte': idx([1], [2]),
});

describe('MNIST IDX files', () => {
  it('are read', async () => {
    const { train, test, classes } = await openDataSet(await writeFiles(folder, mnist()));
    expect(classes).toEqual([...'0123456789']);
    expect([train.count, train.height, train.width, train.channels]).toEqual([3, 2, 3, 1]);
    expect([...train.images]).toEqual(Array.from({ length: 18 }, (_, i) => i));
    expect([...train.labels, ...test.labels]).toEqual([5, 0, 9, 2]);
  });

  it('may be gzip, and named with a dot', async () => {
    const files = Object.entries(mnist()).map(([name, bytes]) => [
      `${name.replace('-idx', '.idx')}.gz`,
      gzipSync(bytes),
    ]);
    const { train } = await openDataSet(await writeFiles(folder, Object.fromEntries(files)));
    expect([...train.images]).toEqual(Array.from({ length: 18 }, (_, i) => i));
  });

  const bomb = Buffer.alloc(64 << 20);
  const cases: [string, Files, RegExp][] = [
    [
      'a wrong magic number',
      { 'train-images-idx3-ubyte': Buffer.concat([Buffer.of(1), images(3)]) },
      /train-images.*is no IDX file/,
    ],
    [
      'an unknown element type',
      { 'train-images-idx3-ubyte': idx([3, 2, 3], [], 0x07) },
      /train-images.*type is unknown \(0x07\)/,
    ],
    [
      'another element type',
      { 'train-images-idx3-ubyte': idx([3, 2, 3], [], 0x0d) },
      /train-images.*type is float32, not unsigned byte/,
    ],
    ['0 dimensions', { 'train-images-idx3-ubyte': idx([], [], 8) }, /train-images.*has 0 dimensions, not 3/],
    [
      '255 dimensions',
      { 'train-images-idx3-ubyte': idx([3, 2, 3], [], 8, 255) },
      /train-images.*has 255 dimensions, not 3/,
    ],
    ['labels of 3 dimensions', { 'train-labels-idx1-ubyte': images(3) }, /train-labels.*has 3 dimensions, not 1/],
    [
      'dimensions whose product overflows',
      { 'train-images-idx3-ubyte': idx([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], []) },
      /train-images.*dimensions \[4294967295,4294967295,4294967295\] are too large/,
    ],
    [
      'a count larger than the file',
      { 'train-images-idx3-ubyte': idx([1e9, 2, 1], [1]) },
      /train-images.*ends after 17 bytes, 1999999999 too early/,
    ],
    ['no pictures', { 'train-images-idx3-ubyte': idx([0, 2, 3], []) }, /train-images.*is empty/],
    [
      'trailing bytes',
      { 'train-images-idx3-ubyte': Buffer.concat([images(3), Buffer.of(0)]) },
      /train-images.*more bytes than its dimensions \[3,2,3\] say/,
    ],
    ['an empty file', { 'train-images-idx3-ubyte': Buffer.alloc(0) }, /train-images.*ends after 0 bytes, 4 too early/],
    [
      'another number of labels',
      { 'train-labels-idx1-ubyte': idx([2], [1, 2]) },
      /train-labels.*holds 2 labels for the 3 pictures of .*train-images/,
    ],
    ['label 10', { 'train-labels-idx1-ubyte': idx([3], [1, 10, 2]) }, /train-labels.*label 1 is 10, outside 0 to 9/],
    [
      'a gzip bomb',
      { 'train-images-idx3-ubyte': gzipSync(Buffer.concat([images(3), bomb])) },
      /train-images.*more bytes than its dimensions/,
    ],
    [
      'cut gzip',
      { 'train-images-idx3-ubyte': gzipSync(images(3)).subarray(0, 20) },
      /train-images.*gzip data is damaged or cut short/,
    ],
    [
      'test pictures of another size',
      { 't10k-images-idx3-ubyte': idx([1, 3, 2], [1, 2, 3, 4, 5, 6]) },
      /training pictures are 3x2, test pictures 2x3/,
    ],
  ];

  it.each(cases)('with %s are refused', async (_, change, message) => {
    const error = await errorOf(openDataSet(await writeFiles(folder, { ...mnist(), ...change })));
    expect(error).toBeInstanceOf(DataError);
    expect(error.message).toMatch(message);
    expect((error as DataError).file).toContain(folder);
  });

  it('that lack one file are refused', async () => {
    const { 't10k-labels-idx1-ubyte': _, ...files } = mnist();
    await expect(openDataSet(await writeFiles(folder, files))).rejects.toThrow(
      /has no t10k-labels-idx1-ubyte or \.gz of it/,
    );
  });

  it('stop unpacking a gzip bomb where the file should end', async () => {
    await writeFiles(folder, { ...mnist(), 'train-images-idx3-ubyte': gzipSync(Buffer.concat([images(3), bomb])) });
    const before = process.memoryUsage().rss;
    await errorOf(openDataSet(folder));
    expect(process.memoryUsage().rss - before).toBeLessThan(32 << 20);
  });
});
