// The binary files of https://www.cs.toronto.edu/~kriz/cifar.html: records of one label byte (CIFAR-100: coarse, then
// fine) and 3,072 pixel bytes, the red plane, the green, the blue, each row by row.
import { posix } from 'node:path';
import { DataError } from './errors.ts';
import type { FileSource, SourceFile } from './source.ts';
import type { DataSet, ImageSet } from './types.ts';

const SIDE = 32;
const PLANE = SIDE * SIDE;
const PIXELS = 3 * PLANE;
const AGAIN = 'Fetch the archive again and compare its checksum';

const CIFAR10_NAMES = 'airplane automobile bird cat deer dog frog horse ship truck'.split(' ');

interface Release {
  readonly isTrain: RegExp;
  readonly isTest: RegExp;
  readonly names: string;
  readonly labelBytes: number;
  readonly classes: number;
}

const CIFAR10: Release = {
  isTrain: /^data_batch_\d+\.bin$/,
  isTest: /^test_batch\.bin$/,
  names: 'batches.meta.txt',
  labelBytes: 1,
  classes: 10,
};

const CIFAR100: Release = {
  isTrain: /^train\.bin$/,
  isTest: /^test\.bin$/,
  names: 'fine_label_names.txt',
  labelBytes: 2,
  classes: 100,
};

function releaseOf(source: FileSource): Release | undefined {
  return [CIFAR10, CIFAR100].find(({ isTrain, isTest }) =>
    source.files.some(({ name }) => isTrain.test(posix.basename(name)) || isTest.test(posix.basename(name))),
  );
}

export function isCifar(source: FileSource): boolean {
  return releaseOf(source) !== undefined;
}

/** CIFAR-10, or CIFAR-100 with its fine labels. */
export async function readCifar(source: FileSource, name: string): Promise<DataSet> {
  const release = releaseOf(source) ?? CIFAR10;
  const classes = await classNames(source, release);
  const train = await readSplit(source, release, release.isTrain, 'train', classes);
  const test = await readSplit(source, release, release.isTest, 'test', classes);
  return { name, classes, train, test };
}

async function classNames(source: FileSource, { names, classes }: Release): Promise<readonly string[]> {
  const file = source.files.find(({ name }) => posix.basename(name) === names);
  if (file === undefined)
    return classes === CIFAR10_NAMES.length ? CIFAR10_NAMES : Array.from({ length: classes }, (_, i) => `class ${i}`);
  const text = new TextDecoder().decode(await source.read(file));
  const lines = text.split('\n').map((line) => line.trim());
  const found = lines.filter((line) => line !== '');
  if (found.length !== classes)
    throw new DataError(source.locate(file.name), `names ${found.length} classes, not ${classes}`, AGAIN);
  return found;
}

async function readSplit(
  source: FileSource,
  release: Release,
  isPart: RegExp,
  name: string,
  classes: readonly string[],
): Promise<ImageSet> {
  const files = source.files.filter((file) => isPart.test(posix.basename(file.name)));
  if (files.length === 0) throw new DataError(source.path, `has no ${name} file (${isPart.source})`, AGAIN);
  const recordBytes = release.labelBytes + PIXELS;
  const counts = files.map((file) => recordCount(source, file, recordBytes));
  const count = counts.reduce((sum, n) => sum + n, 0);
  const images = new Uint8Array(count * PIXELS);
  const labels = new Int32Array(count);
  let first = 0;
  for (const [i, file] of files.entries()) {
    const records = await source.read(file);
    const n = counts[i] as number;
    if (records.length !== n * recordBytes) throw new DataError(source.locate(file.name), 'changed while read', AGAIN);
    readLabels(records, labels.subarray(first, first + n), release, source.locate(file.name));
    for (let r = 0; r < n; r++) interleave(records, r * recordBytes + release.labelBytes, images, (first + r) * PIXELS);
    first += n;
  }
  return { name, images, labels, count, height: SIDE, width: SIDE, channels: 3, classes };
}

function recordCount(source: FileSource, file: SourceFile, recordBytes: number): number {
  if (file.size === 0) throw new DataError(source.locate(file.name), 'is empty', AGAIN);
  if (file.size % recordBytes !== 0) {
    const problem = `its ${file.size} bytes are no multiple of ${recordBytes}, the bytes of a record: it is cut short`;
    throw new DataError(source.locate(file.name), problem, AGAIN);
  }
  return file.size / recordBytes;
}

function readLabels(records: Uint8Array, labels: Int32Array, { labelBytes, classes }: Release, file: string): void {
  for (let r = 0; r < labels.length; r++) {
    const label = records[r * (labelBytes + PIXELS) + labelBytes - 1] as number;
    if (label >= classes)
      throw new DataError(file, `record ${r} has the label ${label}, outside 0 to ${classes - 1}`, AGAIN);
    labels[r] = label;
  }
}

/** Three planes to RGB pixels. */
function interleave(from: Uint8Array, at: number, to: Uint8Array, start: number): void {
  for (let i = 0; i < PLANE; i++) {
    to[start + 3 * i] = from[at + i] as number;
    to[start + 3 * i + 1] = from[at + PLANE + i] as number;
    to[start + 3 * i + 2] = from[at + 2 * PLANE + i] as number;
  }
}
