import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { pack } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { type Batch, DataError, openStream, readForEvaluation, Sampler } from '../../lib/data/index.ts';
import { jpegSize } from '../../lib/data/jpeg-header.ts';
import { readEncoded } from '../../lib/data/picture-reader.ts';
import { evaluationCut } from '../../lib/data/transforms.ts';
import { meanDifference, photo, photos, roundingOfDecoders } from '../image/pictures.ts';
import { errorOf, type Files, png, scratchFolder, tarOf, writeFiles } from './helpers.ts';

/** A JPEG of 40 x 30 of one colour; its red value numbers it. */
async function jpeg(red: number): Promise<Buffer> {
  return sharp(await png(red, 100, 50, 40, 30))
    .jpeg({ quality: 95, chromaSubsampling: '4:4:4' })
    .toBuffer();
}

const trainCount = 13;

/** Two classes; picture i has the red value 10 + 10 i, in the order of the set. */
async function folderFiles(): Promise<Files> {
  const files: Files = { 'test/cat/a.jpg': await jpeg(10), 'test/dog/b.png': await png(20, 100, 50, 40, 30) };
  for (let i = 0; i < trainCount; i++) {
    const name = `train/${i < 6 ? 'cat' : 'dog'}/${String(i).padStart(2, '0')}`;
    if (i % 4 === 3) files[`${name}.png`] = await png(10 + 10 * i, 100, 50, 40, 30);
    else files[`${name}.jpg`] = await jpeg(10 + 10 * i);
  }
  return files;
}

async function folder(change: (files: Files) => void = () => undefined): Promise<string> {
  const files = await folderFiles();
  change(files);
  return writeFiles(await scratchFolder(), files);
}

const options = { size: 16, workers: 2, training: { colorJitter: 0.3 }, seed: 7 };

async function open(path: string, more: Partial<Parameters<typeof openStream>[1]> = {}) {
  const set = await openStream(path, { ...options, ...more });
  if (set === undefined) throw new Error(`${path} does not stream`);
  return set;
}

async function all(batches: AsyncIterable<Batch>): Promise<Batch[]> {
  const found: Batch[] = [];
  for await (const batch of batches) found.push(batch);
  return found;
}

describe('a folder', () => {
  it('gives batches in the order asked for, the last one filled up', async () => {
    const { train, test, classes } = await open(await folder(), { training: { flip: false } });
    expect([classes, train.count, test.count, train.width]).toEqual([['cat', 'dog'], trainCount, 2, 16]);
    const order = new Sampler({ count: trainCount, seed: 3 }).order(0);
    const batches = await all(train.batches({ batchSize: 5, order }));
    expect(batches.length).toBe(3);
    const rows = batches.flatMap(({ images, labels }) =>
      Array.from(labels, (label, row) => ({ label, red: images[row * 16 * 16 * 3] as number })),
    );
    for (const [row, index] of order.entries()) {
      expect(rows[row]?.label).toBe(index < 6 ? 0 : 1);
      expect(Math.abs((rows[row]?.red ?? 0) - (10 + 10 * index))).toBeLessThanOrEqual(2); // JPEG's rounding
    }
    expect(rows.slice(trainCount)).toEqual([
      { label: -1, red: 0 },
      { label: -1, red: 0 },
    ]);
  });

  it('gives the same bytes on any number of threads, with any read-ahead, and from any batch on', async () => {
    const path = await folder();
    const whole = await all((await open(path)).train.batches({ batchSize: 4, epoch: 5 }));
    for (const [workers, prefetch] of [
      [1, 0],
      [3, 1],
      [5, 4],
    ] as const) {
      const { train } = await open(path, { workers, prefetch });
      expect(await all(train.batches({ batchSize: 4, epoch: 5 }))).toEqual(whole);
      expect(await all(train.batches({ batchSize: 4, epoch: 5, from: 2 }))).toEqual(whole.slice(2));
    }
    const { train } = await open(path);
    expect(await all(train.batches({ batchSize: 4, epoch: 6 }))).not.toEqual(whole);
    const other = await open(path, { seed: 8 });
    expect(await all(other.train.batches({ batchSize: 4, epoch: 5 }))).not.toEqual(whole);
  });

  it('reads no more than the batches ahead', async () => {
    const files = await folderFiles();
    const path = await writeFiles(await scratchFolder(), files);
    const { train } = await open(path, { prefetch: 1 });
    const batches = train.batches({ batchSize: 2 });
    await batches.next();
    await writeFile(join(path, 'train/dog/12.jpg'), ''); // far ahead: it is read only after this
    await expect(all(batches)).rejects.toThrow('12.jpg');
  });

  it('is not streamed where it is small, and other kinds of set never are', async () => {
    const path = await folder();
    const bytes = trainCount * 16 * 16 * 3;
    expect(await openStream(path, { ...options, above: bytes })).toBeUndefined();
    expect(await openStream(path, { ...options, above: bytes - 1 })).toBeDefined();
    expect(await openStream('cifar10-mini', options)).toBeUndefined();
    expect(await openStream(join(path, 'train', 'cat'), options)).toBeUndefined();
  });
});

describe('damaged pictures', () => {
  const path = () =>
    folder((files) => {
      files['train/cat/01.jpg'] = (files['train/cat/01.jpg'] as Buffer).subarray(0, -30);
      files['train/cat/03.png'] = Buffer.from('no picture');
    });

  it('stop the run and are named', async () => {
    const { train } = await open(await path());
    const error = (await errorOf(all(train.batches({ batchSize: 4 })))) as DataError;
    expect(error).toBeInstanceOf(DataError);
    expect(error.message).toMatch(/01\.jpg: cannot be decoded \(2 of a batch of 4\)/);
    expect(error.message).toMatch(/--skip-damaged.*\n {2}.*03\.png: ./);
  });

  it('are left out on request, and counted', async () => {
    const { train } = await open(await path(), { skipDamaged: true });
    const [first] = await all(train.batches({ batchSize: 4 }));
    expect([...(first as Batch).labels]).toEqual([0, -1, 0, -1]);
    const picture = (row: number) => first?.images.subarray(row * 768, (row + 1) * 768);
    expect(picture(1)).toEqual(picture(0));
    expect(picture(3)).toEqual(picture(0));
    expect([...train.damaged.keys()].map((file) => file.slice(-6))).toEqual(['01.jpg', '03.png']);
    await all(train.batches({ batchSize: 4, epoch: 1 }));
    expect(train.damaged.size).toBe(2);
  });

  it('are an error where a batch has no others', async () => {
    const { train } = await open(await path(), { skipDamaged: true });
    const order = Int32Array.of(1, 3);
    await expect(all(train.batches({ batchSize: 2, order }))).rejects.toThrow('2 of a batch of 2');
  });
});

describe('shards', () => {
  /** The pictures of folderFiles(), in three training shards and one of test pictures. */
  async function shards(label: (name: string, index: number) => [extension: string, content: string]): Promise<string> {
    const path = await scratchFolder();
    const entries = Object.entries(await folderFiles());
    const train = entries.filter(([name]) => name.startsWith('train/')).sort(([a], [b]) => (a < b ? -1 : 1));
    const write = async (file: string, pictures: typeof entries, first: number) => {
      const content: Files = {};
      for (const [i, [name, bytes]] of pictures.entries()) {
        const key = name
          .split('/')
          .slice(1)
          .join('_')
          .replace(/\.\w+$/, '');
        content[`${key}${name.slice(-4)}`] = bytes;
        const [extension, text] = label(name, first + i);
        content[`${key}.${extension}`] = Buffer.from(text);
      }
      await writeFile(join(path, file), await tarOf(content));
    };
    for (let i = 0; i < 3; i++) await write(`train-00000${i}.tar`, train.slice(5 * i, 5 * i + 5), 5 * i);
    await write(
      'val-000000.tar',
      entries.filter(([name]) => name.startsWith('test/')),
      0,
    );
    return path;
  }

  const labelOf = (name: string) => (name.includes('/cat/') ? 0 : 1);

  it.each<[string, Parameters<typeof shards>[0], string[]]>([
    ['.cls', (name) => ['cls', String(labelOf(name))], ['class 0', 'class 1']],
    ['.txt', (name) => ['txt', name.split('/')[1] as string], ['cat', 'dog']],
    ['.json', (name) => ['json', JSON.stringify({ label: labelOf(name) })], ['class 0', 'class 1']],
  ])('with labels in %s give the batches of the folder', async (_, label, classes) => {
    const set = await open(await shards(label));
    expect(set.classes).toEqual(classes);
    const same = await open(await folder());
    const [ours, theirs] = [set, same].map(({ train }) => all(train.batches({ batchSize: 4, epoch: 2 })));
    expect(await ours).toEqual(await theirs);
    const [test, other] = [set, same].map((each) => all(each.test.batches({ batchSize: 2 })));
    expect(await test).toEqual(await other);
  });

  it('may be a range, with the class names in classes.txt', async () => {
    const path = await shards((name) => ['cls', String(labelOf(name))]);
    await writeFile(join(path, 'classes.txt'), 'cat\ndog\n');
    const set = await open(join(path, 'train-{000000..000001}.tar'));
    expect([set.classes, set.train.count, set.test.count]).toEqual([['cat', 'dog'], 10, 2]);
    await expect(open(join(path, 'train-{000000..000007}.tar'))).rejects.toThrow(/train-000003\.tar: there is no such/);
  });

  it('that are damaged say where', async () => {
    const path = await shards((name) => ['cls', String(labelOf(name))]);
    const whole = await tarOf({ 'a.jpg': await jpeg(1), 'a.cls': Buffer.from('0') });
    const write = (bytes: Uint8Array) => writeFile(join(path, 'train-000001.tar'), bytes);
    await write(whole.subarray(0, 700));
    await expect(open(path)).rejects.toThrow(/train-000001\.tar: is cut short/);
    const wrong = Buffer.from(whole);
    wrong[3] = 0x7a;
    await write(wrong);
    await expect(open(path)).rejects.toThrow(/train-000001\.tar, byte 0: is no tar header/);
    await write(await tarOf({ 'a.jpg': await jpeg(1) }));
    await expect(open(path)).rejects.toThrow(/train-000001\.tar:a: the picture has no label/);
    await write(await tarOf({ 'a.jpg': await jpeg(1), 'a.cls': Buffer.from('x') }));
    await expect(open(path)).rejects.toThrow(/a\.cls: holds no class index, but 'x'/);
    await write(await tarOf({ 'a.jpg': (await jpeg(1)).subarray(0, 200), 'a.cls': Buffer.from('0') }));
    const { train } = await open(path);
    await expect(all(train.batches({ batchSize: 11 }))).rejects.toThrow(/train-000001\.tar:a\.jpg: cannot be decoded/);
  });

  it('may have long names, and folders in them', async () => {
    const path = await scratchFolder();
    const long = `${'d'.repeat(90)}/${'x'.repeat(120)}`;
    const archive = pack();
    for (const pax of [undefined, { path: `${long}1.jpg` }])
      archive.entry({ name: `${long}${pax ? 1 : 0}.jpg`, ...(pax && { pax }) }, await jpeg(30));
    for (const i of [0, 1]) archive.entry({ name: `${long}${i}.cls` }, String(i));
    archive.finalize();
    const chunks: Uint8Array[] = [];
    for await (const chunk of archive as AsyncIterable<Uint8Array>) chunks.push(chunk);
    await mkdir(path, { recursive: true });
    for (const name of ['train-0.tar', 'test-0.tar']) await writeFile(join(path, name), Buffer.concat(chunks));
    const { train } = await open(path);
    expect([...train.labels]).toEqual([0, 1]);
  });
});

describe('pictures of any kind', () => {
  it('have their size read from the header', () => {
    for (const { name, width, height } of photos) expect(jpegSize(photo(name).bytes)).toEqual({ width, height });
    const { bytes } = photo('420');
    for (let length = 0; length < 200; length++)
      expect([undefined, { width: 149, height: 98 }]).toContainEqual(jpegSize(bytes.subarray(0, length)));
    const filled = Buffer.concat([bytes.subarray(0, 2), Buffer.of(0xff, 0xff, 0xff), bytes.subarray(2)]);
    expect(jpegSize(filled)).toEqual({ width: 149, height: 98 });
    expect(jpegSize(Buffer.from('no picture'))).toBeUndefined();
  });

  it('come through sharp where the addon does not read them', async () => {
    const cut = (size: { width: number; height: number }) => evaluationCut(size, 16, {});
    const reading = { height: 16, width: 16, interpolation: 'bilinear', workers: 2 } as const;
    const rgb = photo('444').bytes;
    const lossless = await sharp(rgb).png().toBuffer();
    const kinds = [
      rgb,
      lossless,
      photo('cmyk').bytes,
      Buffer.from('nothing'),
      await sharp(rgb).webp({ lossless: true }).toBuffer(),
    ];
    const pictures = kinds.map((bytes) => ({ bytes, cut }));
    const { pixels, damaged } = await readEncoded(pictures, reading);
    expect([...damaged.keys()]).toEqual([3]);
    const of = (i: number) => pixels.subarray(i * 768, (i + 1) * 768);
    expect(of(1)).toEqual(of(4));
    expect(meanDifference(of(0), of(1))).toBeLessThanOrEqual(roundingOfDecoders);
    // CMYK to RGB is a matter of taste among decoders; another picture would be tens of levels away.
    expect(meanDifference(of(2), of(1))).toBeLessThanOrEqual(20);
  });

  it('are read for evaluation', async () => {
    const path = await folder();
    const files = ['train/cat/02.jpg', 'train/cat/03.png'].map((name) => join(path, name));
    const pixels = await readForEvaluation(files, { size: 8, cropPct: 1, interpolation: 'bicubic' });
    expect(pixels.length).toBe(2 * 8 * 8 * 3);
    expect(Math.abs((pixels[0] as number) - 30)).toBeLessThanOrEqual(2);
    expect([...pixels.subarray(-3)]).toEqual([40, 100, 50]);
    await writeFile(files[1] as string, 'nothing');
    await expect(readForEvaluation(files, { size: 8 })).rejects.toThrow(/03\.png: cannot be decoded/);
  });
});
