// Decoded sets on disk: one file for each source and way of decoding. The length of a
// JSON header, the header, then pixels and labels of train and test. It is replaced when the source's files change, and ignored when it is damaged.
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import type { SourceFile } from './source.ts';
import type { DataSet, ImageSet } from './types.ts';

const VERSION = 2;
const CHUNK_BYTES = 1 << 20;
const HEADER_LENGTH_BYTES = 8;

export interface CacheKey {
  readonly cacheDir: string;
  readonly path: string;
  readonly files: readonly SourceFile[];
  /** Everything else that decides the pixels. */
  readonly options: Readonly<Record<string, unknown>>;
}

interface StoredSet {
  readonly name: string;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly files?: readonly string[];
}

interface StoredHeader {
  readonly fingerprint: string;
  readonly checksum: string;
  readonly name: string;
  readonly classes: readonly string[];
  readonly train: StoredSet;
  readonly test: StoredSet;
}

export function defaultCacheDir(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'node-cudnn');
}

/** The set from the cache, or from `build`, which is then cached. A cache that cannot be written is only warned of. */
export async function cached(key: CacheKey, build: () => Promise<DataSet>): Promise<DataSet> {
  const file = cacheFile(key);
  const fingerprint = digest(key.files.map(({ name, size, modified }) => [name, size, modified]));
  const stored = await load(file, fingerprint).catch(() => undefined);
  if (stored !== undefined) return stored;
  const set = await build();
  await store(key.cacheDir, file, fingerprint, set).catch((error: Error) => {
    process.emitWarning(`${file}: the decoded set could not be cached (${error.message})`);
  });
  return set;
}

function cacheFile({ cacheDir, path, options }: CacheKey): string {
  const absolute = resolve(path);
  return join(cacheDir, `${basename(absolute)}-${digest([VERSION, absolute, options]).slice(0, 16)}.set`);
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

async function store(cacheDir: string, file: string, fingerprint: string, set: DataSet): Promise<void> {
  const parts = [set.train.images, bytesOf(set.train.labels), set.test.images, bytesOf(set.test.labels)];
  const { name, classes } = set;
  const draft = { fingerprint, checksum: '', name, classes, train: describe(set.train), test: describe(set.test) };
  const hash = headerHash(draft);
  for (const part of parts) await update(hash, part);
  const header = { ...draft, checksum: hash.digest('hex') };
  await mkdir(cacheDir, { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    const handle = await open(temporary, 'w');
    try {
      for (const part of [encodeHeader(header), ...parts]) await handle.writeFile(part);
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Begun with all of the header but the checksum, to be continued with the parts. */
function headerHash(header: StoredHeader): Hash {
  return createHash('sha256').update(JSON.stringify({ ...header, checksum: '' }));
}

function describe({ name, count, height, width, channels, files }: ImageSet): StoredSet {
  return { name, count, height, width, channels, ...(files === undefined ? {} : { files }) };
}

function encodeHeader(header: StoredHeader): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(HEADER_LENGTH_BYTES + text.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, HEADER_LENGTH_BYTES);
  return bytes;
}

/** Undefined, or an error, where there is no such set, an outdated or a damaged one. */
async function load(file: string, fingerprint: string): Promise<DataSet | undefined> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const header = await readHeader(handle, size);
    if (header.fingerprint !== fingerprint) return undefined;
    const pixels = (set: StoredSet) => set.count * set.height * set.width * set.channels;
    const { train, test, classes, name } = header;
    const lengths = [pixels(train), 4 * train.count, pixels(test), 4 * test.count];
    if (sum(lengths) > size) return undefined;
    const hash = headerHash(header);
    const parts: Uint8Array[] = [];
    for (const length of lengths) parts.push(await readPart(handle, length, hash));
    if (hash.digest('hex') !== header.checksum) return undefined;
    const [trainImages, trainLabels, testImages, testLabels] = parts as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    return {
      name,
      classes,
      train: { ...train, classes, images: trainImages, labels: new Int32Array(trainLabels.buffer) },
      test: { ...test, classes, images: testImages, labels: new Int32Array(testLabels.buffer) },
    };
  } finally {
    await handle.close();
  }
}

async function readHeader(handle: FileHandle, size: number): Promise<StoredHeader> {
  const head = await readPart(handle, HEADER_LENGTH_BYTES);
  const length = Number(new DataView(head.buffer).getBigUint64(0, true));
  if (length > size) throw new Error('damaged');
  return JSON.parse(new TextDecoder().decode(await readPart(handle, length))) as StoredHeader;
}

async function readPart(handle: FileHandle, length: number, hash?: Hash) {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await handle.read(bytes, at, Math.min(CHUNK_BYTES, length - at));
    if (bytesRead === 0) throw new Error('damaged');
    hash?.update(bytes.subarray(at, at + bytesRead));
    at += bytesRead;
  }
  return bytes;
}

async function update(hash: Hash, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    hash.update(bytes.subarray(at, at + CHUNK_BYTES));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}

function bytesOf(labels: Int32Array): Uint8Array {
  return new Uint8Array(labels.buffer, labels.byteOffset, labels.byteLength);
}
