import { execFileSync } from 'node:child_process';
import { readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DataError, type DataSet, openDataSet } from '../../lib/data/index.ts';
import { errorOf, type Files, png, scratchFolder, smallSet, tarOf, writeFiles } from './helpers.ts';

const root = await scratchFolder();
let count = 0;
let folder: string;
let cacheDir: string;
beforeEach(async () => {
  folder = join(root, `set${count}`);
  cacheDir = join(root, `cache${count++}`);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

/** What smallSet decodes to: sorted classes, files sorted within them, the red values in that order. */
function expectSmallSet({ train, test, classes }: DataSet, prefix = ''): void {
  const reds = (set: typeof train) => Array.from({ length: set.count }, (_, i) => set.images[i * 8 * 8 * 3]);
  expect(classes).toEqual(['cat', 'dog']);
  expect([train.height, train.width, train.channels, train.count, test.count]).toEqual([8, 8, 3, 3, 2]);
  expect(train.images.length).toBe(3 * 8 * 8 * 3);
  expect(reds(train)).toEqual([1, 2, 11]);
  expect([...train.labels]).toEqual([0, 0, 1]);
  expect(train.files).toEqual(['train/cat/a.png', 'train/cat/b.png', 'train/dog/1.png'].map((file) => prefix + file));
  expect(reds(test)).toEqual([22, 21]);
  expect([...test.labels]).toEqual([0, 1]);
}

async function dataError(change: (files: Files) => void | Promise<void>): Promise<DataError> {
  const files = await smallSet();
  await change(files);
  await writeFiles(folder, files);
  const error = await errorOf(openDataSet(folder, { cacheDir }));
  expect(error).toBeInstanceOf(DataError);
  expect(error.message).toContain((error as DataError).file);
  return error as DataError;
}

describe('a folder', () => {
  it('is read in the order of its sorted names', async () => {
    await writeFiles(folder, await smallSet());
    expectSmallSet(await openDataSet(folder, { cacheDir }));
  });

  it('may call its test set val, hold other files, hidden ones, and links to classes', async () => {
    const { 'train/dog/1.png': dog, ...files } = await smallSet();
    const renamed = Object.fromEntries(
      Object.entries(files).map(([name, bytes]) => [name.replace('test/', 'val/'), bytes]),
    );
    await writeFiles(folder, { ...renamed, 'README.txt': Buffer.from('x'), 'train/cat/.DS_Store': Buffer.from('x') });
    await writeFiles(join(root, 'elsewhere'), { '1.png': dog as Uint8Array });
    await symlink(join(root, 'elsewhere'), join(folder, 'train/dog'));
    expectSmallSet(await openDataSet(folder, { cacheDir }));
  });

  it('prefers test to val', async () => {
    await writeFiles(folder, { ...(await smallSet()), 'val/cat/z.png': await png(0, 0, 0) });
    expect((await openDataSet(folder, { cacheDir })).test.count).toBe(2);
  });

  it('is resized where a size is given', async () => {
    await writeFiles(folder, { ...(await smallSet()), 'train/cat/big.png': await png(3, 0, 0, 40, 30) });
    const { train, test } = await openDataSet(folder, { cacheDir, size: [16, 12], channels: 1 });
    expect([train.count, train.height, train.width, train.channels, test.width]).toEqual([4, 16, 12, 1, 12]);
  });

  it('reports progress', async () => {
    await writeFiles(folder, await smallSet());
    const seen: string[] = [];
    await openDataSet(folder, {
      cacheDir,
      onProgress: ({ phase, done, total }) => seen.push(`${phase} ${done}/${total}`),
    });
    expect(seen).toEqual(['decode 1/3', 'decode 2/3', 'decode 3/3', 'decode 1/2', 'decode 2/2']);
  });

  it.each<[string, (files: Files) => void | Promise<void>, RegExp, string]>([
    ['without train/', (files) => drop(files, 'train/'), /has no folder train\/ \(it holds test\)/, ''],
    ['without test/ and val/', (files) => drop(files, 'test/'), /neither test\/ nor val\//, ''],
    [
      'with an empty class',
      (files) => drop(files, 'train/dog/', 'train/dog/notes.txt'),
      /holds no pictures, but notes\.txt/,
      'train/dog',
    ],
    [
      'with pictures but no classes',
      (files) => drop(files, 'train/', 'train/a.png'),
      /holds no class folders/,
      'train',
    ],
    [
      'with a test class that train lacks',
      (files) => add(files, 'test/emu/x.png'),
      /class "emu" is in the test set, but not among the 2/,
      'test/emu',
    ],
    ['with an empty test set', (files) => drop(files, 'test/', 'test/cat/notes.txt'), /holds no pictures/, 'test'],
    [
      'with a picture of another size',
      async (files) => {
        files['train/cat/c.png'] = await png(0, 0, 0, 8, 9);
      },
      /1 of 4 pictures are not 8x8/,
      'train/cat/c.png',
    ],
    [
      'with test pictures of another size',
      async (files) => {
        files['test/cat/c.png'] = await png(0, 0, 0, 8, 9);
      },
      /1 of 3 pictures are not 8x8/,
      'test/cat/c.png',
    ],
    [
      'with a damaged picture',
      (files) => {
        files['train/dog/1.png'] = (files['train/dog/1.png'] as Uint8Array).subarray(0, 60);
      },
      /1 of 3 pictures cannot be decoded/,
      'train/dog/1.png',
    ],
  ])('%s is refused', async (_, change, message, file) => {
    const error = await dataError(change);
    expect(error.message).toMatch(message);
    expect(error.file).toBe(join(folder, file));
    await expect(readdir(cacheDir)).rejects.toThrow(/ENOENT/);
  });

  it('that is empty is refused', async () => {
    await writeFiles(folder, { 'train/.keep': Buffer.alloc(0) });
    await rm(join(folder, 'train'), { recursive: true });
    await expect(openDataSet(folder, { cacheDir })).rejects.toThrow(/has no folder train\/ \(it is empty\)/);
  });

  it('with an empty class folder is refused', async () => {
    const error = await dataError((files) => drop(files, 'train/dog/', 'train/dog/.keep'));
    expect(error.message).toContain(`${join(folder, 'train/dog')}: is empty`);
  });

  it('skips damaged pictures on request alone', async () => {
    await writeFiles(folder, { ...(await smallSet()), 'train/cat/aa.png': Buffer.from('no picture') });
    expectSmallSet(await openDataSet(folder, { cacheDir, skipDamaged: true }));
    await expect(openDataSet(folder, { cacheDir })).rejects.toThrow(/aa\.png/);
  });

  it('whose link leads nowhere is refused', async () => {
    await writeFiles(folder, await smallSet());
    await symlink(join(folder, 'nowhere'), join(folder, 'train/cat/link.png'));
    await expect(openDataSet(folder, { cacheDir })).rejects.toThrow(/link\.png: the link leads nowhere/);
  });
});

function drop(files: Files, prefix: string, instead?: string): void {
  for (const name of Object.keys(files)) if (name.startsWith(prefix)) delete files[name];
  if (instead !== undefined) files[instead] = Buffer.from('x');
}

async function add(files: Files, name: string): Promise<void> {
  files[name] = await png(0, 0, 0);
}

describe('an archive', () => {
  const xz = (bytes: Buffer) => execFileSync('xz', ['--stdout'], { input: bytes });
  const hasXz = (() => {
    try {
      return xz(Buffer.from('x')).length > 0;
    } catch {
      return false;
    }
  })();

  async function archive(name: string, bytes: Uint8Array): Promise<string> {
    await writeFiles(folder, { [name]: bytes });
    return join(folder, name);
  }

  it.each<[string, (tar: Buffer) => Buffer]>([
    ['.tar', (tar) => tar],
    ['.tar.gz', (tar) => gzipSync(tar)],
  ])('%s is read like a folder', async (extension, pack) => {
    expectSmallSet(
      await openDataSet(await archive(`a${extension}`, pack(await tarOf(await smallSet()))), { cacheDir }),
    );
  });

  it.skipIf(!hasXz)('.tar.xz is read like a folder (needs the program xz)', async () => {
    expectSmallSet(await openDataSet(await archive('a.tar.xz', xz(await tarOf(await smallSet()))), { cacheDir }));
  });

  it.skipIf(!hasXz)('a damaged .tar.xz is refused (needs the program xz)', async () => {
    const bytes = xz(await tarOf(await smallSet()));
    const path = await archive('a.tar.xz', bytes.subarray(0, bytes.length - 40));
    const error = await errorOf(openDataSet(path, { cacheDir }));
    expect(error).toBeInstanceOf(DataError);
    expect(error.message).toMatch(/a\.tar\.xz: is damaged or cut short \(xz: .*\)\. Make the archive anew/);
  });

  it('.tar.xz without the program xz says how to install it', async () => {
    const path = await archive(
      'a.tar.xz',
      Buffer.concat([Buffer.from('fd377a585a0000', 'hex'), Buffer.alloc(100_000)]),
    );
    vi.stubEnv('PATH', root);
    const error = await errorOf(openDataSet(path, { cacheDir }));
    expect(error).toBeInstanceOf(DataError);
    expect(error.message).toMatch(
      /needs the program xz, which is not installed\. Install it .*apt-get install xz-utils/,
    );
  });

  it('may have a leading folder, given as ./, and what macOS adds', async () => {
    const files = {
      ...(await smallSet()),
      'train/cat/._a.png': Buffer.from('x'),
      '../__MACOSX/train/x/y.png': Buffer.from('x'),
    };
    expectSmallSet(await openDataSet(await archive('a.tar', await tarOf(files, './lead/')), { cacheDir }), 'lead/');
  });

  it.each<[string, (tar: Buffer) => Buffer, RegExp]>([
    ['cut short', (tar) => tar.subarray(0, 700), /is damaged or cut short/],
    ['gzip cut short', (tar) => gzipSync(tar).subarray(0, 300), /is damaged or cut short/],
    ['gzip with a flipped byte', (tar) => flip(gzipSync(tar), 200), /is damaged or cut short/],
    ['with a damaged header', (tar) => flip(tar, 10), /is damaged or cut short/],
    ['of another kind', () => Buffer.from('PK\u0003\u0004 a zip file'), /is neither \.tar, \.tar\.gz nor \.tar\.xz/],
    ['that is empty', () => Buffer.alloc(0), /is neither/],
  ])('%s is refused', async (_, damage, message) => {
    const path = await archive('a.tar', damage(await tarOf(await smallSet())));
    const error = await errorOf(openDataSet(path, { cacheDir }));
    expect(error).toBeInstanceOf(DataError);
    expect((error as DataError).file).toBe(path);
    expect(error.message).toMatch(message);
  });

  it('names a damaged picture in it', async () => {
    const files = { ...(await smallSet()), 'train/cat/c.png': Buffer.from('no picture') };
    const path = await archive('a.tar', await tarOf(files));
    await expect(openDataSet(path, { cacheDir })).rejects.toThrow(`${path}:train/cat/c.png: 1 of 4 pictures`);
  });

  it('with two sets is refused', async () => {
    const files = await smallSet();
    const both = Object.entries(files).flatMap(([name, bytes]) => [
      [`a/${name}`, bytes],
      [`b/${name}`, bytes],
    ]);
    const path = await archive('a.tar', await tarOf(Object.fromEntries(both)));
    await expect(openDataSet(path, { cacheDir })).rejects.toThrow(/more than one set: a\/train and b\/train/);
  });
});

function flip(bytes: Buffer, at: number): Buffer {
  bytes[at] = (bytes[at] as number) ^ 0xff;
  return bytes;
}

describe('the cache', () => {
  /** Opens the set, and tells whether pictures were decoded. */
  async function decodes(options = {}): Promise<boolean> {
    let decoded = false;
    const onProgress = () => {
      decoded = true;
    };
    expectSmallSet(await openDataSet(folder, { cacheDir, onProgress, ...options }));
    return decoded;
  }

  const cacheFile = async () =>
    join(cacheDir, (await readdir(cacheDir)).find((name) => name.endsWith('.set')) as string);

  beforeEach(async () => {
    await writeFiles(folder, await smallSet());
    expect(await decodes()).toBe(true);
  });

  it('serves an unchanged folder without decoding', async () => {
    expect(await decodes()).toBe(false);
    expect((await readdir(cacheDir)).length).toBe(1);
  });

  it('gives exactly what decoding gave', async () => {
    const again = await openDataSet(folder, { cacheDir });
    const fresh = await openDataSet(folder, { cacheDir: join(cacheDir, 'other') });
    expect(again).toEqual(fresh);
  });

  it.each<[string, () => Promise<void>]>([
    ['a new time', async () => utimes(join(folder, 'train/cat/a.png'), 1e9, 1e9)],
    [
      'another size',
      async () => writeFile(join(folder, 'train/cat/a.png'), Buffer.concat([await png(1, 0, 100), Buffer.from(' ')])),
    ],
    ['a file that is none of the set', async () => writeFile(join(folder, 'train/notes.txt'), 'x')],
  ])('is renewed after %s', async (_, change) => {
    await change();
    expect(await decodes()).toBe(true);
    expect(await decodes()).toBe(false);
    expect((await readdir(cacheDir)).length).toBe(1);
  });

  it('is renewed after a file has come or gone', async () => {
    const extra = join(folder, 'train/cat/z.png');
    await writeFile(extra, await png(9, 9, 9));
    expect((await openDataSet(folder, { cacheDir })).train.count).toBe(4);
    await rm(extra);
    expect(await decodes()).toBe(true);
  });

  it('is kept apart by size and channels', async () => {
    expect((await openDataSet(folder, { cacheDir, size: [16, 16] })).train.height).toBe(16);
    expect((await openDataSet(folder, { cacheDir, channels: 1 })).train.channels).toBe(1);
    expect(await decodes()).toBe(false);
    expect((await readdir(cacheDir)).length).toBe(3);
  });

  it.each<[string, (bytes: Buffer) => Buffer]>([
    ['a flipped pixel', (bytes) => flip(bytes, bytes.length - 200)],
    ['a flipped label', (bytes) => flip(bytes, bytes.length - 1)],
    ['another class name', (bytes) => Buffer.from(bytes.toString('latin1').replace('"cat"', '"cow"'), 'latin1')],
    ['a cut', (bytes) => bytes.subarray(0, bytes.length - 10)],
    ['a wrong header length', (bytes) => flip(bytes, 6)],
    ['nothing in it', () => Buffer.alloc(0)],
  ])('is rebuilt after damage: %s', async (_, damage) => {
    const file = await cacheFile();
    const good = await readFile(file);
    await writeFile(file, damage(Buffer.from(good)));
    expect(await decodes()).toBe(true);
    expect((await readFile(file)).equals(good)).toBe(true);
  });

  it('that cannot be written is only warned of', async () => {
    const warning = new Promise<Error>((resolve) => process.once('warning', resolve));
    const blocked = join(folder, 'train/cat/a.png');
    expect(await decodes({ cacheDir: blocked })).toBe(true);
    expect((await warning).message).toMatch(/the decoded set could not be cached/);
  });

  it('serves an archive without unpacking it, until it changes', async () => {
    const path = join(root, `archive${count}.tar`);
    await writeFile(path, await tarOf(await smallSet()));
    const phases = new Set<string>();
    const options = { cacheDir, onProgress: ({ phase }: { phase: string }) => phases.add(phase) };
    await openDataSet(path, options);
    expect([...phases]).toEqual(['unpack', 'decode']);
    phases.clear();
    expectSmallSet(await openDataSet(path, options));
    expect([...phases]).toEqual([]);
    await utimes(path, 1e9, 1e9);
    await openDataSet(path, options);
    expect([...phases]).toEqual(['unpack', 'decode']);
  });

  it('lies under XDG_CACHE_HOME by default', async () => {
    vi.stubEnv('XDG_CACHE_HOME', join(cacheDir, 'home'));
    await openDataSet(folder);
    expect((await readdir(join(cacheDir, 'home/node-cudnn'))).length).toBe(1);
  });
});

describe('names', () => {
  it('that are no path and no set are refused with what there is', async () => {
    const error = await errorOf(openDataSet('cifar-10'));
    expect(error).toBeInstanceOf(DataError);
    expect(error.message).toMatch(
      /cifar-10: there is no such folder or archive.*cifar10, cifar100, cifar10-mini, synthetic/,
    );
  });

  it.each([{ size: [0, 4] as const }, { size: [4, 1.5] as const }, { channels: 2 as never }])(
    'refuses %j',
    async (options) => {
      await expect(openDataSet('cifar10-mini', options)).rejects.toThrow(RangeError);
    },
  );
});
