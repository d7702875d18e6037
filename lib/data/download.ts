import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DataError } from './errors.ts';
import type { OnProgress } from './types.ts';

export interface Download {
  readonly url: string;
  readonly md5: string;
  readonly file: string;
  readonly onProgress?: OnProgress;
}

/**
 * The file, fetched unless it is there. What arrives is kept in `<file>.part`, so a broken download goes on where it
 * stopped; only a whole one with the right checksum gets the file's name.
 */
export async function download(what: Download): Promise<string> {
  const { file, md5 } = what;
  if (await exists(file)) {
    if ((await md5Of(file)) === md5) return file;
    throw new DataError(file, `its MD5 is not ${md5}`, 'Remove it, and it is fetched again');
  }
  const part = `${file}.part`;
  await mkdir(dirname(file), { recursive: true });
  const resumed = await fetchInto(part, what);
  if ((await md5Of(part)) !== md5 && resumed) {
    await rm(part);
    await fetchInto(part, what);
  }
  if ((await md5Of(part)) !== md5) {
    await rm(part);
    throw new DataError(what.url, `what arrived does not have the MD5 ${md5}`, 'Try again, or another network');
  }
  await rename(part, file);
  return file;
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

async function md5Of(file: string): Promise<string> {
  const hash = createHash('md5');
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest('hex');
}

/** Whether bytes of an earlier attempt were kept. */
async function fetchInto(part: string, { url, file, onProgress }: Download): Promise<boolean> {
  const have = await stat(part).then(
    ({ size }) => size,
    () => 0,
  );
  try {
    const response = await fetch(url, have > 0 ? { headers: { range: `bytes=${have}-` } } : {});
    // The range begins at the end: everything is there already.
    if (response.status === 416) return true;
    if (!response.ok || response.body === null) throw new Error(`the server answers ${response.status}`);
    const resumes = response.status === 206;
    const start = resumes ? have : 0;
    const length = Number(response.headers.get('content-length') ?? Number.NaN);
    const handle = await open(part, resumes ? 'a' : 'w');
    try {
      let done = start;
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
        await handle.writeFile(chunk);
        done += chunk.length;
        onProgress?.({ phase: 'download', done, ...(Number.isNaN(length) ? {} : { total: start + length }) });
      }
    } finally {
      await handle.close();
    }
    return resumes;
  } catch (cause) {
    throw new DataError(
      url,
      `cannot be fetched (${reason(cause as Error)})`,
      `Fetch it elsewhere and put it at ${file}`,
      {
        cause,
      },
    );
  }
}

function reason(error: Error): string {
  const cause = error.cause as NodeJS.ErrnoException | undefined;
  return cause?.code ?? cause?.message ?? error.message;
}
