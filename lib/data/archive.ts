import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { type Extract, extract } from 'tar-stream';
import { DataError } from './errors.ts';
import { byName, type FileSource, isHidden, type SourceFile } from './source.ts';
import type { OnProgress } from './types.ts';

type Compression = 'none' | 'gzip' | 'xz';

const TAR_MAGIC_AT = 257;
const MAX_FILE_BYTES = 2 ** 30;
const REPACK = 'Make the archive anew';

interface Contents {
  readonly files: Map<string, SourceFile>;
  readonly bytes: Map<string, Uint8Array>;
  readonly folders: Set<string>;
}

/** Reads a tar archive, plain, gzip or xz (told by its first bytes), into memory; nothing is written to disk. */
export async function archiveSource(path: string, onProgress?: OnProgress): Promise<FileSource> {
  const compression = await compressionOf(path);
  const contents: Contents = { files: new Map(), bytes: new Map(), folders: new Set() };
  const tar = extract();
  await settle([unpack(path, compression, tar, onProgress), readEntries(path, tar, contents)]).catch((cause: Error) => {
    if (cause instanceof DataError) throw cause;
    throw new DataError(path, `is damaged or cut short (${cause.message})`, REPACK, { cause });
  });
  return {
    path,
    files: [...contents.files.values()].sort((a, b) => byName(a.name, b.name)),
    folders: [...contents.folders].sort(byName),
    read: async (file) => contents.bytes.get(file.name) as Uint8Array,
    locate: (name) => (name === '' || name === '.' ? path : `${path}:${name}`),
  };
}

async function readEntries(path: string, tar: Extract, { files, bytes, folders }: Contents): Promise<void> {
  for await (const entry of tar) {
    const { type, size, mtime } = entry.header;
    const name = posix.normalize(entry.header.name).replace(/\/$/, '');
    if (type === 'directory') addFolders(folders, name);
    if (type !== 'file' || name.split('/').some(isHidden)) {
      entry.resume();
      continue;
    }
    if (size > MAX_FILE_BYTES) throw new DataError(path, `${name} has ${size} bytes, more than 2^30`, REPACK);
    files.set(name, { name, size, modified: mtime.getTime() });
    bytes.set(name, await collect(entry as AsyncIterable<Uint8Array>, size));
    addFolders(folders, posix.dirname(name));
  }
}

async function collect(entry: AsyncIterable<Uint8Array>, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for await (const chunk of entry) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function addFolders(folders: Set<string>, folder: string): void {
  for (let name = folder; name !== '.' && name !== '/'; name = posix.dirname(name))
    if (!name.split('/').some(isHidden)) folders.add(name);
}

async function compressionOf(path: string): Promise<Compression> {
  const head = new Uint8Array(TAR_MAGIC_AT + 5);
  const handle = await open(path, 'r');
  try {
    await handle.read(head, 0, head.length, 0);
  } finally {
    await handle.close();
  }
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  if (String.fromCharCode(...head.subarray(1, 5)) === '7zXZ') return 'xz';
  if (String.fromCharCode(...head.subarray(TAR_MAGIC_AT)) === 'ustar') return 'none';
  throw new DataError(path, 'is neither .tar, .tar.gz nor .tar.xz', 'Give such an archive, or a folder');
}

/** Waits for all, then throws the most telling error: a DataError, else the earliest in the list. */
async function settle(promises: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(promises);
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []));
  if (errors.length > 0) throw errors.find((error) => error instanceof DataError) ?? errors[0];
}

async function unpack(
  path: string,
  compression: Compression,
  tar: NodeJS.WritableStream,
  onProgress?: OnProgress,
): Promise<void> {
  const input = await counted(path, onProgress);
  if (compression === 'none') await pipeline(input, tar);
  else if (compression === 'gzip') await pipeline(input, createGunzip(), tar);
  else await unpackXz(path, input, tar);
}

async function counted(path: string, onProgress?: OnProgress): Promise<AsyncIterable<Uint8Array>> {
  const total = (await stat(path)).size;
  return (async function* () {
    let done = 0;
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      done += chunk.length;
      onProgress?.({ phase: 'unpack', done, total });
      yield chunk;
    }
  })();
}

/** Node.js has no xz: the system's program does it. */
async function unpackXz(path: string, input: AsyncIterable<Uint8Array>, tar: NodeJS.WritableStream): Promise<void> {
  const child = spawn('xz', ['--decompress', '--stdout'], { stdio: ['pipe', 'pipe', 'pipe'] });
  let message = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    message += text;
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', (cause: NodeJS.ErrnoException) => reject(cause.code === 'ENOENT' ? noXz(path, cause) : cause));
    child.on('close', (code) =>
      code === 0 ? resolve() : reject(new Error(message.trim() || `xz ended with ${code}`)),
    );
  });
  await settle([ended, pipeline(input, child.stdin), pipeline(child.stdout, tar)]);
}

function noXz(path: string, cause: Error): DataError {
  return new DataError(
    path,
    'reading .tar.xz needs the program xz, which is not installed',
    'Install it (Debian, Ubuntu: `apt-get install xz-utils`; macOS: `brew install xz`), or repack as .tar.gz',
    { cause },
  );
}
