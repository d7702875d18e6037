// MNIST's IDX files (http://yann.lecun.com/exdb/mnist), plain or gzip: two zero bytes, the element type, the number of
// dimensions, each dimension as a big-endian u32, then the elements.
import { constants } from 'node:buffer';
import { posix } from 'node:path';
import { createGunzip } from 'node:zlib';
import { DataError } from './errors.ts';
import type { FileSource, SourceFile } from './source.ts';
import type { DataSet, ImageSet } from './types.ts';

const CLASSES = 10;
const AGAIN = 'Fetch it again';
const UNSIGNED_BYTE = 0x08;
const TYPES = new Map([
  [0x08, 'unsigned byte'],
  [0x09, 'signed byte'],
  [0x0b, 'int16'],
  [0x0c, 'int32'],
  [0x0d, 'float32'],
  [0x0e, 'float64'],
]);

const FILE = /^(train|t10k)-(images|labels)[.-]idx[13]-ubyte(\.gz)?$/;

interface Idx {
  readonly file: string;
  readonly dimensions: readonly number[];
  readonly elements: Uint8Array;
}

export function isIdx(source: FileSource): boolean {
  return source.files.some(({ name }) => FILE.test(posix.basename(name)));
}

/** train-images-idx3-ubyte, train-labels-idx1-ubyte and the two t10k files, each with or without .gz. */
export async function readIdx(source: FileSource, name: string): Promise<DataSet> {
  const classes = Array.from({ length: CLASSES }, (_, i) => `${i}`);
  const train = await readSplit(source, 'train', 'train', classes);
  const test = await readSplit(source, 't10k', 'test', classes);
  if (train.height !== test.height || train.width !== test.width)
    throw new DataError(
      source.path,
      `training pictures are ${train.width}x${train.height}, test pictures ${test.width}x${test.height}`,
      'Give files of one set',
    );
  return { name, classes, train, test };
}

async function readSplit(source: FileSource, prefix: string, name: string, classes: string[]): Promise<ImageSet> {
  const images = await readArray(source, `${prefix}-images`, 3);
  const labels = await readArray(source, `${prefix}-labels`, 1);
  const [count, height, width] = images.dimensions as [number, number, number];
  if (labels.elements.length !== count) {
    const problem = `holds ${labels.elements.length} labels for the ${count} pictures of ${images.file}`;
    throw new DataError(labels.file, problem, 'Give files of one set');
  }
  const bad = labels.elements.findIndex((label) => label >= classes.length);
  if (bad >= 0) {
    const problem = `label ${bad} is ${labels.elements[bad]}, outside 0 to ${classes.length - 1}`;
    throw new DataError(labels.file, problem, AGAIN);
  }
  const pixels = images.elements;
  return { name, images: pixels, labels: Int32Array.from(labels.elements), count, height, width, channels: 1, classes };
}

async function readArray(source: FileSource, prefix: string, rank: number): Promise<Idx> {
  const found = source.files.find(
    ({ name }) => FILE.test(posix.basename(name)) && posix.basename(name).startsWith(prefix),
  );
  if (found === undefined) throw new DataError(source.path, `has no ${prefix}-idx${rank}-ubyte or .gz of it`, AGAIN);
  const file = source.locate(found.name);
  const parts = chunksOf(source, found, file);
  const reader = new ByteReader(parts, file);
  const [zero0, zero1, type, dimensionCount] = await reader.take(4);
  if (zero0 !== 0 || zero1 !== 0) throw new DataError(file, 'is no IDX file: it does not begin with two zeros', AGAIN);
  checkType(type as number, file);
  if (dimensionCount !== rank) throw new DataError(file, `has ${dimensionCount} dimensions, not ${rank}`, AGAIN);
  const head = new DataView((await reader.take(4 * rank)).buffer);
  const dimensions = Array.from({ length: rank }, (_, i) => head.getUint32(4 * i));
  const length = dimensions.reduce((product, n) => product * n, 1);
  if (length > constants.MAX_LENGTH) throw new DataError(file, `its dimensions [${dimensions}] are too large`, AGAIN);
  if (length === 0) throw new DataError(file, `is empty: its dimensions are [${dimensions}]`, AGAIN);
  const elements = await reader.take(length);
  await reader.end(`dimensions [${dimensions}] say`);
  return { file, dimensions, elements };
}

function checkType(type: number, file: string): void {
  if (type === UNSIGNED_BYTE) return;
  const known = TYPES.get(type);
  const shown = known ?? `unknown (0x${type.toString(16).padStart(2, '0')})`;
  throw new DataError(file, `its element type is ${shown}, not unsigned byte`, known ? 'Convert it to bytes' : AGAIN);
}

async function* chunksOf(source: FileSource, file: SourceFile, name: string): AsyncGenerator<Uint8Array> {
  const bytes = await source.read(file);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) {
    yield bytes;
    return;
  }
  const gunzip = createGunzip();
  gunzip.end(bytes);
  try {
    yield* gunzip as AsyncIterable<Uint8Array>;
  } catch (cause) {
    throw new DataError(name, `its gzip data is damaged or cut short (${(cause as Error).message})`, AGAIN, { cause });
  }
}

/** Takes exact lengths out of chunks, so that a gzip bomb is dropped where the file should have ended. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #file: string;
  #chunk: Uint8Array = new Uint8Array(0);
  #total = 0;

  constructor(chunks: AsyncIterable<Uint8Array>, file: string) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#file = file;
  }

  async take(length: number): Promise<Uint8Array<ArrayBuffer>> {
    const parts: Uint8Array[] = [];
    let left = length;
    while (left > 0) {
      if (this.#chunk.length === 0 && !(await this.#next()))
        throw new DataError(this.#file, `ends after ${this.#total} bytes, ${left} too early`, AGAIN);
      const part = this.#chunk.subarray(0, left);
      this.#chunk = this.#chunk.subarray(part.length);
      parts.push(part);
      left -= part.length;
    }
    return joined(parts, length);
  }

  /** Throws where bytes are left. */
  async end(expected: string): Promise<void> {
    if (this.#chunk.length > 0 || (await this.#next())) {
      await this.#chunks.return?.();
      throw new DataError(this.#file, `holds more bytes than its ${expected}`, AGAIN);
    }
  }

  async #next(): Promise<boolean> {
    const { value, done } = await this.#chunks.next();
    if (done) return false;
    this.#chunk = value;
    this.#total += value.length;
    return true;
  }
}

/** Grown from what is there, so that a header's claim alone allocates nothing. */
function joined(parts: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
