import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { findShards, openShards } from './shards.ts';
import { folderSources, type StreamOptions, streamedDataSet } from './stream.ts';
import type { StreamedDataSet } from './types.ts';

export interface OpenStreamOptions extends Partial<StreamOptions> {
  /** Pictures become size x size. */
  readonly size: number;
  /** A folder whose decoded training pictures take no more bytes is not streamed. Default 0: every folder is. */
  readonly above?: number;
}

/**
 * A set that streams: a folder with train/<class>/ and test/<class>/ (or val/), or with tar shards train-000000.tar ...
 * and test- or val- in webdataset's naming, or a pattern like data/train-{000000..000012}.tar. Undefined for other
 * kinds of set and for small folders, which openDataSet() takes. Throws DataError.
 */
export async function openStream(source: string, options: OpenStreamOptions): Promise<StreamedDataSet | undefined> {
  const { size, above = 0 } = options;
  if (!Number.isInteger(size) || size < 1 || size > 16384)
    throw new RangeError(`openStream: size must be an integer from 1 to 16384, not ${size}`);
  const whole: StreamOptions = {
    interpolation: 'bilinear',
    workers: availableParallelism(),
    training: {},
    evaluation: {},
    seed: 0,
    ...options,
  };
  const shards = await findShards(source);
  if (shards !== undefined) return streamedDataSet(await openShards(shards, source), whole);
  const found = await stat(source).catch(() => undefined);
  if (!found?.isDirectory()) return undefined;
  const set = await folderSources(source);
  return set && set.train.labels.length * size * size * 3 > above ? streamedDataSet(set, whole) : undefined;
}
