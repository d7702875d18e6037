import { basename, join } from 'node:path';
import { download } from './download.ts';
import { DataError } from './errors.ts';
import type { OnProgress } from './types.ts';

// https://www.cs.toronto.edu/~kriz/cifar.html lists the archives with these MD5 sums.
const RELEASES = {
  cifar10: { url: 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz', md5: 'c32a1d4ab5d03f1284b67883e8d87530' },
  cifar100: {
    url: 'https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz',
    md5: '03b5dce01913d631647c71ecec9e9cb8',
  },
} as const;

export type CifarName = keyof typeof RELEASES;

export function isCifarName(name: string): name is CifarName {
  return Object.hasOwn(RELEASES, name);
}

/** The original binary archive, fetched once into the cache. */
export async function cifarArchive(name: CifarName, cacheDir: string, onProgress?: OnProgress): Promise<string> {
  const { url, md5 } = RELEASES[name];
  try {
    return await download({ url, md5, file: join(cacheDir, basename(url)), ...(onProgress && { onProgress }) });
  } catch (cause) {
    if (!(cause instanceof DataError)) throw cause;
    throw new DataError(cause.file, cause.problem, `${cause.cure}; meanwhile --data cifar10-mini needs no network`, {
      cause,
    });
  }
}
