import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError } from './errors.ts';
import { inParallel } from './pool.ts';

export interface SourceFile {
  /** Relative to the source, with forward slashes. */
  readonly name: string;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
}

/** Named bytes: a folder, or an archive in memory. Names are sorted. */
export interface FileSource {
  readonly path: string;
  readonly files: readonly SourceFile[];
  readonly folders: readonly string[];
  read(file: SourceFile): Promise<Uint8Array>;
  /** For messages: where the file is. */
  locate(name: string): string;
}

// <one leading folder>/<split>/<class>/<file>: nothing that a reader knows lies deeper.
const MAX_DEPTH = 4;
const STATS_AT_ONCE = 32;

/** Names alone, sorted: a folder of millions of files is listed without asking for each one's size. */
export async function listFolder(path: string): Promise<{ readonly names: string[]; readonly folders: string[] }> {
  const names: string[] = [];
  const folders: string[] = [];
  await walk(path, '', 1, names, folders);
  return { names: names.sort(byName), folders: folders.sort(byName) };
}

export async function folderSource(path: string): Promise<FileSource> {
  const { names, folders } = await listFolder(path);
  const files = new Array<SourceFile>(names.length);
  await inParallel(names.length, STATS_AT_ONCE, async (i) => {
    const name = names[i] as string;
    const { size, mtimeMs } = await stat(join(path, name));
    files[i] = { name, size, modified: mtimeMs };
  });
  const locate = (name: string) => join(path, name);
  return { path, files, folders, locate, read: (file) => readWhole(locate(file.name)) };
}

async function walk(root: string, folder: string, depth: number, names: string[], folders: string[]): Promise<void> {
  for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
    if (isHidden(entry.name)) continue;
    const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
    const target = entry.isSymbolicLink() ? await linkTarget(join(root, name)) : entry;
    if (target.isFile()) names.push(name);
    if (!target.isDirectory()) continue;
    folders.push(name);
    if (depth < MAX_DEPTH) await walk(root, name, depth + 1, names, folders);
  }
}

async function linkTarget(path: string) {
  try {
    return await stat(path);
  } catch (cause) {
    throw new DataError(path, 'the link leads nowhere', 'Restore its target or remove the link', { cause });
  }
}

export async function readWhole(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new DataError(path, `cannot be read (${(cause as NodeJS.ErrnoException).code})`, 'Check the file', { cause });
  }
}

/** Dot files, and what macOS adds to archives. */
export function isHidden(name: string): boolean {
  return name.startsWith('.') || name === '__MACOSX';
}

/** By code units, as Python and torchvision sort. */
export function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
