import { stat } from 'node:fs/promises';
import { archiveSource } from './archive.ts';
import { cached, defaultCacheDir } from './cache.ts';
import type { DecodeOptions } from './decode.ts';
import { DataError } from './errors.ts';
import { readImageFolder } from './image-folder.ts';
import { miniArchive } from './mini.ts';
import { folderSource } from './source.ts';
import type { DataSet } from './types.ts';

export interface OpenDataSetOptions extends DecodeOptions {
  /** Where decoded and fetched sets are kept; default `$XDG_CACHE_HOME/node-cudnn` or `~/.cache/node-cudnn`. */
  readonly cacheDir?: string;
}

/** A set by name ('cifar10-mini'), or a folder or tar archive of pictures. Throws DataError. */
export async function openDataSet(source: string, options: OpenDataSetOptions = {}): Promise<DataSet> {
  if (source === 'cifar10-mini') return openArchive(miniArchive(), source, options);
  const found = await stat(source).catch(() => undefined);
  if (found?.isDirectory()) return openFolder(source, options);
  if (found?.isFile()) return openArchive(source, source, options);
  throw new DataError(source, 'there is no such folder, archive or named set', 'Check the path');
}

async function openFolder(path: string, options: OpenDataSetOptions): Promise<DataSet> {
  const source = await folderSource(path);
  return cached(cacheKey(path, source.files, options), () => readImageFolder(source, path, options));
}

async function openArchive(path: string, name: string, options: OpenDataSetOptions): Promise<DataSet> {
  const { size, mtimeMs } = await stat(path);
  const files = [{ name: path, size, modified: mtimeMs }];
  return cached(cacheKey(path, files, options), async () =>
    readImageFolder(await archiveSource(path, options.onProgress), name, options),
  );
}

function cacheKey(path: string, files: Parameters<typeof cached>[0]['files'], options: OpenDataSetOptions) {
  const { size, channels, skipDamaged, cacheDir = defaultCacheDir() } = options;
  return { cacheDir, path, files, options: { size, channels, skipDamaged } };
}
