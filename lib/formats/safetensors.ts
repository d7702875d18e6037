// safetensors: https://huggingface.co/docs/safetensors. Files written here carry a SHA-256 of every tensor and of the
// header in the metadata; files from elsewhere load without.
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { replaceFile, writeFully } from './atomic-file.ts';
import {
  byAlignment,
  encodeHeader,
  fitsHeader,
  isReservedKey,
  readExactly,
  readHeaderFrom,
  type SafetensorsHeader,
  type TensorEntry,
  type TensorInfo,
} from './safetensors-header.ts';
import { arrayOf, isTensorDType, SafetensorsError, type Tensor, tensorBytes } from './safetensors-types.ts';

export type { SafetensorsHeader, TensorInfo } from './safetensors-header.ts';
export { SafetensorsError, type Tensor, type TensorArrays, type TensorDType } from './safetensors-types.ts';

export interface SafetensorsFile {
  readonly tensors: Map<string, Tensor>;
  readonly metadata: Map<string, string>;
}

const CHUNK_BYTES = 1 << 20;

/** Names, types, shapes and metadata; no tensor data is read. Throws SafetensorsError. */
export async function readHeader(path: string): Promise<SafetensorsHeader> {
  return withFile(path, (handle) => readHeaderFrom(handle, path));
}

/** The whole file, every check made and every checksum compared. Throws SafetensorsError. */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  return withFile(path, async (handle) => {
    const { tensors: infos, metadata } = await readHeaderFrom(handle, path);
    const tensors = new Map<string, Tensor>();
    for (const [name, info] of infos) tensors.set(name, await readTensor(handle, path, name, info));
    return { tensors, metadata };
  });
}

async function withFile<T>(path: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    const problem = cause.code === 'ENOENT' ? 'there is no such file' : `cannot be opened (${cause.code})`;
    throw new SafetensorsError(path, problem, { cause });
  });
  try {
    return await use(handle);
  } catch (cause) {
    if (cause instanceof SafetensorsError) throw cause;
    throw new SafetensorsError(path, `cannot be read: ${(cause as Error).message}`, { cause });
  } finally {
    await handle.close();
  }
}

async function readTensor(handle: FileHandle, file: string, name: string, info: TensorInfo): Promise<Tensor> {
  const { dtype, shape } = info;
  const bytes = new Uint8Array(info.bytes);
  const hash = info.checksum === undefined ? undefined : createHash('sha256');
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    const chunk = bytes.subarray(at, at + CHUNK_BYTES);
    await readExactly(handle, file, info.position + at, chunk);
    hash?.update(chunk);
  }
  if (hash !== undefined && hash.digest('hex') !== info.checksum)
    throw new SafetensorsError(file, 'its bytes do not match its checksum: the file is damaged', { tensor: name });
  return { dtype, shape, data: new (arrayOf(dtype))(bytes.buffer) } as Tensor;
}

/**
 * Replaces the file at `path` in one step: whatever fails, a full disk included, the old file stays as it was.
 * The arrays must not change until this resolves. Throws SafetensorsError.
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  checkWritable(path, tensors, metadata);
  const ordered = [...tensors].map(([name, tensor]) => ({ name, ...tensor })).sort(byAlignment);
  const entries: TensorEntry[] = [];
  for (const { name, dtype, shape, data } of ordered)
    entries.push({ name, dtype, shape, bytes: data.byteLength, checksum: await checksum(data) });
  const header = encodeHeader(entries, metadata);
  if (!fitsHeader(header))
    throw new SafetensorsError(path, `a header of ${header.length} bytes is above the format's limit`);
  try {
    await replaceFile(path, async (handle) => {
      await writeFully(handle, header);
      for (const { data } of ordered) await writeFully(handle, bytesOf(data));
    });
  } catch (cause) {
    throw new SafetensorsError(path, `cannot be written (${writeProblem(cause as NodeJS.ErrnoException)})`, { cause });
  }
}

function writeProblem(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT')
    return 'the disk is full: free some space; what was there before is unchanged';
  if (error.code === 'ENOENT') return 'its folder does not exist';
  return `${error.message}; what was there before is unchanged`;
}

function checkWritable(path: string, tensors: ReadonlyMap<string, Tensor>, metadata: Readonly<Record<string, string>>) {
  for (const [name, { dtype, shape, data }] of tensors) {
    const fail = (problem: string): never => {
      throw new SafetensorsError(path, problem, { tensor: name });
    };
    if (name === '__metadata__') fail('the format reserves this name');
    if (!isTensorDType(dtype)) fail(`unknown dtype ${JSON.stringify(dtype)}`);
    if (!(data instanceof arrayOf(dtype))) fail(`${dtype} needs a ${arrayOf(dtype).name}`);
    if (!shape.every((n) => Number.isSafeInteger(n) && n >= 0)) fail(`shape [${shape}] must hold integers from 0`);
    if (tensorBytes(dtype, shape) !== data.byteLength) fail(`shape [${shape}] does not fit ${data.length} elements`);
  }
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') throw new SafetensorsError(path, `metadata ${JSON.stringify(key)} is not a string`);
    if (isReservedKey(key))
      throw new SafetensorsError(path, `metadata key ${JSON.stringify(key)} is kept for checksums`);
  }
}

function bytesOf(data: Tensor['data']): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Lets other work run between chunks: hashing a large model would hold the event loop for long. */
async function checksum(data: Tensor['data']): Promise<string> {
  const hash = createHash('sha256');
  const bytes = bytesOf(data);
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    if (at > 0) await new Promise((resolve) => setImmediate(resolve));
    hash.update(bytes.subarray(at, at + CHUNK_BYTES));
  }
  return hash.digest('hex');
}
