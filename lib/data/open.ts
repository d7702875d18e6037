import { stat } from 'node:fs/promises';
import { archiveSource } from './archive.ts';
import { cached, defaultCacheDir } from './cache.ts';
import { isCifar, readCifar } from './cifar.ts';
import { cifarArchive, isCifarName } from './cifar-download.ts';
import type { DecodeOptions } from './decode.ts';
import { DataError } from './errors.ts';
import { isIdx, readIdx } from './idx.ts';
import { readImageFolder } from './image-folder.ts';
import { miniArchive } from './mini.ts';
import { type FileSource, folderSource, type SourceFile } from './source.ts';
import { syntheticDataSet } from './synthetic.ts';
import type { DataSet } from './types.ts';

export interface OpenDataSetOptions extends DecodeOptions {
  /** Where decoded and fetched sets are kept; default `$XDG_CACHE_HOME/node-cudnn` or `~/.cache/node-cudnn`. */
  readonly cacheDir?: string;
  /** 'synthetic' only; see SyntheticOptions. */
  readonly numClasses?: number;
  readonly trainCount?: number;
  readonly testCount?: number;
  readonly seed?: number;
}

export const dataSetNames = ['cifar10', 'cifar100', 'cifar10-mini', 'synthetic'] as const;

/**
 * A set by name (see `dataSetNames`; the first two are fetched once), or from a path: a folder, .tar, .tar.gz or
 * .tar.xz with pictures in train/<class>/ and test/<class>/ (or val/), CIFAR binary files, or MNIST IDX files.
 * Throws DataError.
 */
export async function openDataSet(source: string, options: OpenDataSetOptions = {}): Promise<DataSet> {
  checkOptions(options);
  const { cacheDir = defaultCacheDir(), onProgress } = options;
  if (source === 'synthetic') return syntheticDataSet(options);
  if (source === 'cifar10-mini') return openArchive(miniArchive(), source, options);
  if (isCifarName(source)) return openArchive(await cifarArchive(source, cacheDir, onProgress), source, options);
  const found = await stat(source).catch(() => undefined);
  if (found?.isDirectory()) return openFolder(source, options);
  if (found?.isFile()) return openArchive(source, source, options);
  throw new DataError(
    source,
    'there is no such folder or archive',
    `Check the path, or use ${dataSetNames.join(', ')}`,
  );
}

function checkOptions({ size, channels }: OpenDataSetOptions): void {
  if (size !== undefined && !(size.length === 2 && size.every((n) => Number.isInteger(n) && n > 0 && n <= 16384)))
    throw new RangeError(`openDataSet: size must be [height, width], integers from 1 to 16384, not [${size}]`);
  if (channels !== undefined && channels !== 1 && channels !== 3)
    throw new RangeError(`openDataSet: channels must be 1 or 3, not ${channels}`);
}

async function openFolder(path: string, options: OpenDataSetOptions): Promise<DataSet> {
  const source = await folderSource(path);
  if (isCifar(source) || isIdx(source)) return readSource(source, path, options);
  return cached(cacheKey(path, source.files, options), () => readSource(source, path, options));
}

async function openArchive(path: string, name: string, options: OpenDataSetOptions): Promise<DataSet> {
  const { size, mtimeMs } = await stat(path);
  const files = [{ name: path, size, modified: mtimeMs }];
  return cached(cacheKey(path, files, options), async () =>
    readSource(await archiveSource(path, options.onProgress), name, options),
  );
}

async function readSource(source: FileSource, name: string, options: OpenDataSetOptions): Promise<DataSet> {
  if (isCifar(source)) return readCifar(source, name);
  if (isIdx(source)) return readIdx(source, name);
  return readImageFolder(source, name, options);
}

function cacheKey(path: string, files: readonly SourceFile[], options: OpenDataSetOptions) {
  const { size, channels, skipDamaged, cacheDir = defaultCacheDir() } = options;
  return { cacheDir, path, files, options: { size, channels, skipDamaged } };
}
