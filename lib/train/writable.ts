// Whether what a run is for can be written, found out before it begins. Nothing is left behind.
import { access, constants, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { TrainingError } from './errors.ts';

/** Of a folder that need not be there yet; `flag` names it for the error. */
export async function proveWritable(folder: string, what = 'output folder', flag = '--output'): Promise<void> {
  const place = await nearestExisting(resolve(folder));
  const probe = join(place, `.probe-${process.pid}`);
  await attempt(what, folder, flag, async () => {
    await writeFile(probe, 'x', { flag: 'wx' });
    await rm(probe);
  });
}

/** The same of a file, which may be there. */
export async function proveFileWritable(file: string, flag: string): Promise<void> {
  if (!(await exists(file))) return proveWritable(dirname(resolve(file)), 'folder', flag);
  await attempt('file', file, flag, async () => {
    if ((await stat(file)).isDirectory()) throw new Error('it is a folder');
    await access(file, constants.W_OK);
  });
}

export function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function nearestExisting(path: string): Promise<string> {
  return (await exists(path)) || dirname(path) === path ? path : nearestExisting(dirname(path));
}

async function attempt(what: string, path: string, flag: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    throw new TrainingError(
      'ERR_OUTPUT',
      `${what} ${path} cannot be written: ${(cause as Error).message}; choose another ${flag} or mend its rights`,
      { cause },
    );
  }
}
