// Tar shards in webdataset's naming: <key>.jpg beside <key>.cls, <key>.txt or <key>.json in the same archive, in files
// called train-000000.tar ... and test- or val-. Only where each picture lies is held.
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join, posix } from 'node:path';
import { DataError } from './errors.ts';
import { inParallel } from './pool.ts';
import { byName } from './source.ts';
import type { PictureSource } from './stream.ts';
import { readRange, type TarEntry, tarEntries } from './tar-index.ts';

const PICTURES = ['jpg', 'jpeg', 'png', 'webp'];
const LABELS = ['cls', 'txt', 'json'];
const TEST_SPLITS = ['test', 'val'];
const CLASSES_FILE = 'classes.txt';
const CURE = 'Give each picture <key>.jpg a <key>.cls or <key>.txt with its class, or a <key>.json with "label"';
const INDEXED_AT_ONCE = 4;

export interface Shards {
  readonly folder: string;
  readonly train: readonly string[];
  readonly test: readonly string[];
}

/** The shards of a folder, or of a pattern like data/train-{000000..000012}.tar; undefined where there are none. */
export async function findShards(source: string): Promise<Shards | undefined> {
  const pattern = /^(.*)\{(\d+)\.\.(\d+)\}(.*\.tar)$/.exec(source);
  const folder = pattern ? dirname(source) : source;
  const names = await readdir(folder).catch((): string[] => []);
  const ofSplit = (split: string) => names.filter((name) => isShard(name, split)).sort(byName);
  const train = pattern ? expand(pattern) : ofSplit('train');
  if (train.length === 0) return undefined;
  const test = TEST_SPLITS.map(ofSplit).find((found) => found.length > 0);
  if (test === undefined) {
    throw new DataError(source, 'has training shards, but neither test nor val shards', 'Add test-000000.tar ...');
  }
  const missing = train.find((name) => !names.includes(name));
  if (missing !== undefined) throw new DataError(join(folder, missing), 'there is no such shard', 'Check the range');
  return { folder, train, test };
}

function isShard(name: string, split: string): boolean {
  return name.endsWith('.tar') && new RegExp(`^${split}(?![a-z])`).test(name);
}

/** Before the braces, first and last number, and what follows. */
function expand([, before = '', first = '', last = '', after = '']: RegExpExecArray): string[] {
  const count = Number(last) - Number(first) + 1;
  return Array.from({ length: Math.max(0, count) }, (_, i) => {
    return basename(`${before}${String(Number(first) + i).padStart(first.length, '0')}${after}`);
  });
}

interface Sample {
  readonly shard: string;
  readonly picture: TarEntry;
  /** A class index, or a class name. */
  readonly label: number | string;
}

/** Reads all headers and labels. */
export async function openShards({ folder, train, test }: Shards, name: string) {
  const [trainSamples, testSamples] = [await indexAll(folder, train), await indexAll(folder, test)];
  for (const [split, samples] of [
    ['training', trainSamples],
    ['test', testSamples],
  ] as const)
    if (samples.length === 0) throw new DataError(folder, `its ${split} shards hold no pictures`, CURE);
  const classes = await classesOf(folder, trainSamples);
  return {
    name,
    classes,
    train: shardSource(folder, trainSamples, classes),
    test: shardSource(folder, testSamples, classes),
  };
}

async function indexAll(folder: string, shards: readonly string[]): Promise<Sample[]> {
  const indices: Sample[][] = [];
  await inParallel(shards.length, INDEXED_AT_ONCE, async (i) => {
    indices[i] = await indexShard(folder, shards[i] as string);
  });
  return indices.flat();
}

async function indexShard(folder: string, shard: string): Promise<Sample[]> {
  const path = join(folder, shard);
  const samples = new Map<string, { picture?: TarEntry; label?: number | string }>();
  for await (const entry of tarEntries(path)) {
    const { key, extension } = splitName(entry.name);
    const isPicture = PICTURES.includes(extension);
    if (!isPicture && !LABELS.includes(extension)) continue;
    const sample = samples.get(key) ?? {};
    samples.set(key, sample);
    if (isPicture) sample.picture = entry;
    else
      sample.label ??= parseLabel(`${path}:${entry.name}`, extension, await readRange(path, entry.offset, entry.size));
  }
  return [...samples].flatMap(([key, { picture, label }]) => {
    if (picture === undefined) return [];
    if (label === undefined) throw new DataError(`${path}:${key}`, 'the picture has no label', CURE);
    return [{ shard, picture, label }];
  });
}

/** The key ends at the first dot of the last part, as in webdataset. */
function splitName(name: string): { key: string; extension: string } {
  const base = posix.basename(name);
  const dot = base.indexOf('.');
  if (dot < 0) return { key: name, extension: '' };
  return { key: posix.join(posix.dirname(name), base.slice(0, dot)), extension: base.slice(dot + 1).toLowerCase() };
}

function parseLabel(where: string, extension: string, bytes: Uint8Array): number | string {
  const content = new TextDecoder().decode(bytes).trim();
  const value = extension === 'json' ? jsonLabel(where, content) : content;
  if (/^\d+$/.test(value)) return Number(value);
  if (value === '' || extension === 'cls') throw new DataError(where, `holds no class index, but '${value}'`, CURE);
  return value;
}

function jsonLabel(where: string, content: string): string {
  try {
    const { label, cls } = JSON.parse(content) as Record<string, unknown>;
    return String(label ?? cls ?? '');
  } catch (cause) {
    throw new DataError(where, `is no JSON (${(cause as Error).message})`, CURE, { cause });
  }
}

/** classes.txt of the folder, one a line; else the names among the labels, sorted; else 'class 0' ... */
async function classesOf(folder: string, samples: readonly Sample[]): Promise<string[]> {
  const file = await readFile(join(folder, CLASSES_FILE), 'utf8').catch(() => undefined);
  if (file !== undefined)
    return file
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
  const labels = new Set(samples.map(({ label }) => label));
  const names = [...labels].filter((label) => typeof label === 'string');
  if (names.length === labels.size) return names.sort(byName);
  const indices = [...labels].filter((label) => typeof label === 'number');
  return Array.from({ length: indices.reduce((most, label) => Math.max(most, label + 1), 0) }, (_, i) => `class ${i}`);
}

function shardSource(folder: string, samples: readonly Sample[], classes: readonly string[]): PictureSource {
  const byClass = new Map(classes.map((name, i) => [name, i]));
  const locate = (i: number) => {
    const { shard, picture } = samples[i] as Sample;
    return `${join(folder, shard)}:${picture.name}`;
  };
  const labels = Int32Array.from(samples, ({ label }, i) => {
    const index = typeof label === 'number' ? label : byClass.get(label);
    if (index !== undefined && index < classes.length) return index;
    const cure = `Add it to ${join(folder, CLASSES_FILE)}, one name a line, or to the training shards`;
    throw new DataError(locate(i), `has class '${label}', which is not among the ${classes.length} classes`, cure);
  });
  return {
    labels,
    locate,
    read: (i) => {
      const { shard, picture } = samples[i] as Sample;
      return readRange(join(folder, shard), picture.offset, picture.size);
    },
  };
}
