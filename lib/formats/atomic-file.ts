import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

let written = 0;

/**
 * Replaces `path` by what `write` puts into a new file: temporary file beside it, fsync, rename, fsync of the folder.
 * Until the rename, and after any failure, the old file is untouched; a failure leaves no temporary file.
 */
export async function replaceFile(path: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  const folder = dirname(path);
  await removeAbandoned(folder, basename(path));
  const temporary = join(folder, `${basename(path)}.${process.pid}-${written++}.tmp`);
  const handle = await open(temporary, 'wx');
  try {
    try {
      await write(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
  await syncFolder(folder);
}

/** Writes everything, also where the system takes only a part at a time. */
export async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten;
}

/** Temporary files of processes that were killed while they wrote. */
async function removeAbandoned(folder: string, name: string): Promise<void> {
  for (const file of await readdir(folder)) {
    if (!file.startsWith(`${name}.`)) continue;
    const pid = /^(\d+)-\d+\.tmp$/.exec(file.slice(name.length + 1))?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) await rm(join(folder, file), { force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The rename itself is on disk only after this; Windows has no such call. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
