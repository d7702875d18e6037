// Where the files of a tar archive lie: headers are read, contents are passed over.
import { type FileHandle, open } from 'node:fs/promises';
import { DataError } from './errors.ts';

const BLOCK = 512;
// Past a picture usually follow its label and the next header: one read for all three.
const READ = 8 * BLOCK;
const MAX_NAME_BYTES = 1 << 20;
const CURE = 'Copy or make the archive anew';

export interface TarEntry {
  readonly name: string;
  /** Of the content, from the beginning of the archive. */
  readonly offset: number;
  readonly size: number;
}

/** The regular files of an uncompressed archive (ustar, GNU or pax), in order. Throws DataError. */
export async function* tarEntries(path: string): AsyncGenerator<TarEntry, void, void> {
  const handle = await open(path, 'r');
  try {
    const reader = new Reader(path, handle, (await handle.stat()).size);
    let longName: string | undefined;
    let longSize: number | undefined;
    for (let at = 0; at < reader.size; ) {
      const header = await reader.read(at, BLOCK);
      if (header.every((byte) => byte === 0)) return;
      const { name, size: shortSize, kind } = parseHeader(header, `${path}, byte ${at}`);
      const size = longSize ?? shortSize;
      const offset = at + BLOCK;
      if (offset + size > reader.size) throw reader.cutShort();
      at = offset + Math.ceil(size / BLOCK) * BLOCK;
      if (kind === 'L' || kind === 'x') {
        if (size > MAX_NAME_BYTES) throw new DataError(path, `a name of ${size} bytes at byte ${offset}`, CURE);
        const content = await reader.read(offset, size);
        if (kind === 'L') longName = text(content);
        else ({ path: longName = longName, size: longSize = longSize } = parsePax(content));
        continue;
      }
      if (kind === '0' || kind === '\0') yield { name: longName ?? name, offset, size };
      [longName, longSize] = [undefined, undefined];
    }
  } finally {
    await handle.close();
  }
}

export async function readRange(path: string, offset: number, size: number): Promise<Uint8Array> {
  const handle = await open(path, 'r');
  try {
    return await new Reader(path, handle, offset + size).read(offset, size);
  } finally {
    await handle.close();
  }
}

class Reader {
  readonly size: number;
  readonly #path: string;
  readonly #handle: FileHandle;
  #held = new Uint8Array(0);
  #at = 0;

  constructor(path: string, handle: FileHandle, size: number) {
    this.#path = path;
    this.#handle = handle;
    this.size = size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset < this.#at || offset + length > this.#at + this.#held.length) await this.#fill(offset, length);
    return this.#held.subarray(offset - this.#at, offset - this.#at + length);
  }

  async #fill(offset: number, length: number): Promise<void> {
    const bytes = new Uint8Array(Math.max(length, Math.min(READ, this.size - offset)));
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await this.#handle.read(bytes, filled, bytes.length - filled, offset + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    if (filled < length) throw this.cutShort();
    [this.#held, this.#at] = [bytes.subarray(0, filled), offset];
  }

  cutShort(): DataError {
    return new DataError(this.#path, 'is cut short', CURE);
  }
}

// POSIX.1-2017, pax, "ustar Interchange Format": offsets of the fields.
function parseHeader(header: Uint8Array, where: string): { name: string; size: number; kind: string } {
  const field = (from: number, length: number) => text(header.subarray(from, from + length));
  const sum = header.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 0x20 : byte), 0);
  if (Number.parseInt(field(148, 8).trim(), 8) !== sum)
    throw new DataError(where, 'is no tar header (its checksum is wrong)', CURE);
  const prefix = field(257, 5) === 'ustar' && header[263] === 0x30 ? field(345, 155) : '';
  const name = prefix === '' ? field(0, 100) : `${prefix}/${field(0, 100)}`;
  return { name, size: parseSize(header.subarray(124, 136)), kind: String.fromCharCode(header[156] as number) };
}

/** Octal digits; GNU writes what is too large for them in base 256. */
function parseSize(bytes: Uint8Array): number {
  if ((bytes[0] as number) < 0x80) return Number.parseInt(text(bytes).trim() || '0', 8);
  return bytes.subarray(1).reduce((value, byte) => value * 256 + byte, 0);
}

function parsePax(content: Uint8Array): { path?: string; size?: number } {
  const found: { path?: string; size?: number } = {};
  for (const record of new TextDecoder().decode(content).split('\n')) {
    const [, key, value] = /^\d+ (path|size)=(.*)$/s.exec(record) ?? [];
    if (key === 'path') found.path = value as string;
    if (key === 'size') found.size = Number(value);
  }
  return found;
}

/** Up to the first zero byte. */
function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
