import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { DataError, openDataSet } from '../../lib/data/index.ts';
import { errorOf, type Files, scratchFolder, tarOf, writeFiles } from './helpers.ts';

const root = await scratchFolder();
let count = 0;
let folder: string;
beforeEach(() => {
  folder = join(root, `${count++}`);
});

/** A record whose pixel at (row, column) is (base + row, base + column, base + row + column). */
function record(labels: number[], base: number): Buffer {
  const plane = (value: (row: number, column: number) => number) =>
    Buffer.from(Array.from({ length: 1024 }, (_, i) => base + value(i >> 5, i & 31)));
  return Buffer.concat([
    Buffer.from(labels),
    plane((row) => row),
    plane((_, column) => column),
    plane((r, c) => r + c),
  ]);
}

const cifar10 = (): Files => ({
  'data_batch_1.bin': Buffer.concat([record([3], 0), record([9], 10)]),
  'data_batch_2.bin': record([0], 20),
  'test_batch.bin': record([7], 30),
  'readme.html': Buffer.from('x'),
});

const cifar100 = (): Files => ({
  'train.bin': Buffer.concat([record([19, 99], 0), record([0, 4], 10)]),
  'test.bin': record([1, 0], 30),
  'fine_label_names.txt': Buffer.from(`${Array.from({ length: 100 }, (_, i) => `name${i}`).join('\n')}\n`),
});

describe('CIFAR-10 binary files', () => {
  it('become NHWC pixels, in the order of the files', async () => {
    const { train, test, classes } = await openDataSet(await writeFiles(folder, cifar10()));
    expect(classes.slice(0, 4)).toEqual(['airplane', 'automobile', 'bird', 'cat']);
    expect([train.count, train.height, train.width, train.channels, test.count]).toEqual([3, 32, 32, 3, 1]);
    expect([...train.labels]).toEqual([3, 9, 0]);
    expect([...test.labels]).toEqual([7]);
    const pixel = (n: number, row: number, column: number) => {
      const at = ((n * 32 + row) * 32 + column) * 3;
      return [...train.images.subarray(at, at + 3)];
    };
    expect(pixel(0, 2, 5)).toEqual([2, 5, 7]);
    expect(pixel(1, 31, 0)).toEqual([41, 10, 41]);
    expect(pixel(2, 0, 31)).toEqual([20, 51, 51]);
  });

  it('are read from their archive, leading folder and all', async () => {
    const path = join(root, 'cifar.tar.gz');
    await writeFile(path, gzipSync(await tarOf(cifar10(), 'cifar-10-batches-bin/')));
    const cacheDir = join(root, 'cache');
    const fresh = await openDataSet(path, { cacheDir });
    expect([...fresh.train.labels]).toEqual([3, 9, 0]);
    expect(await openDataSet(path, { cacheDir })).toEqual(fresh);
  });

  it('take class names from batches.meta.txt', async () => {
    const names = Buffer.from(`${[...'abcdefghij'].join('\n')}\n\n`);
    const { classes } = await openDataSet(await writeFiles(folder, { ...cifar10(), 'batches.meta.txt': names }));
    expect(classes).toEqual([...'abcdefghij']);
  });

  it.each<[string, Files, RegExp, string]>([
    [
      'a cut file',
      { 'data_batch_2.bin': Buffer.alloc(3072) },
      /3072 bytes are no multiple of 3073/,
      'data_batch_2.bin',
    ],
    ['an empty file', { 'test_batch.bin': Buffer.alloc(0) }, /is empty/, 'test_batch.bin'],
    [
      'label 10',
      { 'data_batch_2.bin': Buffer.concat([record([1], 0), record([10], 0)]) },
      /record 1 has the label 10, outside 0 to 9/,
      'data_batch_2.bin',
    ],
    ['missing names', { 'batches.meta.txt': Buffer.from('a\nb\n') }, /names 2 classes, not 10/, 'batches.meta.txt'],
  ])('with %s are refused', async (_, change, message, file) => {
    const error = await errorOf(openDataSet(await writeFiles(folder, { ...cifar10(), ...change })));
    expect(error).toBeInstanceOf(DataError);
    expect((error as DataError).file).toBe(join(folder, file));
    expect(error.message).toMatch(message);
  });

  it('without the test file are refused', async () => {
    const { 'test_batch.bin': _, ...files } = cifar10();
    await expect(openDataSet(await writeFiles(folder, files))).rejects.toThrow(/has no test file/);
  });
});

describe('CIFAR-100 binary files', () => {
  it('give fine labels and their names', async () => {
    const { train, test, classes } = await openDataSet(await writeFiles(folder, cifar100()));
    expect(classes[99]).toBe('name99');
    expect([...train.labels, ...test.labels]).toEqual([99, 4, 0]);
    expect([...train.images.subarray(0, 6)]).toEqual([0, 0, 0, 0, 1, 1]);
  });

  it('with label 100, or of a wrong length, are refused', async () => {
    await writeFiles(folder, { ...cifar100(), 'test.bin': record([0, 100], 0) });
    await expect(openDataSet(folder)).rejects.toThrow(/test\.bin: record 0 has the label 100, outside 0 to 99/);
    await writeFiles(folder, { 'test.bin': record([0], 0) });
    await expect(openDataSet(folder)).rejects.toThrow(/3073 bytes are no multiple of 3074/);
  });
});
