import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { HeaderSyntaxError, parseHeader, type RawHeader, type RawTensor } from './safetensors-parser.ts';
import {
  DTYPES,
  elementBytes,
  isTensorDType,
  SafetensorsError,
  type TensorDType,
  tensorBytes,
} from './safetensors-types.ts';

// File: u64 little-endian header length, header (JSON, padded with spaces), tensor data without gaps.
const LENGTH_BYTES = 8;
const MAX_HEADER_BYTES = 100_000_000;
const CHECKSUM = 'checksum.';
/** Covers the header itself: names, dtypes, shapes, metadata and the tensors' checksums. */
const HEADER_CHECKSUM = 'checksum';

export interface TensorInfo {
  readonly dtype: TensorDType;
  readonly shape: readonly number[];
  /** First byte in the file. */
  readonly position: number;
  readonly bytes: number;
  /** SHA-256 of the bytes, in hex, where the file has one. */
  readonly checksum?: string;
}

export interface SafetensorsHeader {
  readonly tensors: Map<string, TensorInfo>;
  /** Without the checksums. */
  readonly metadata: Map<string, string>;
}

/** Reads and checks everything but the tensors' bytes. */
export async function readHeaderFrom(handle: FileHandle, file: string): Promise<SafetensorsHeader> {
  const { size } = await handle.stat();
  const headerBytes = await headerLength(handle, file, size);
  const bytes = await readExactly(handle, file, LENGTH_BYTES, new Uint8Array(headerBytes));
  const raw = parse(bytes, file);
  const tensors = checkTensors(raw, file, LENGTH_BYTES + headerBytes, size);
  checkHeaderChecksum(raw, file);
  return { tensors, metadata: new Map([...raw.metadata].filter(([key]) => !isReservedKey(key))) };
}

async function headerLength(handle: FileHandle, file: string, size: number): Promise<number> {
  if (size < LENGTH_BYTES)
    throw new SafetensorsError(
      file,
      `${size} bytes is too short for a safetensors file: it is truncated or another format`,
    );
  const head = await readExactly(handle, file, 0, new Uint8Array(LENGTH_BYTES));
  const length = new DataView(head.buffer).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES)
    throw new SafetensorsError(file, `header of ${length} bytes (at most ${MAX_HEADER_BYTES}): not a safetensors file`);
  if (Number(length) > size - LENGTH_BYTES)
    throw new SafetensorsError(file, `header of ${length} bytes in a file of ${size}: the file is truncated`);
  return Number(length);
}

export async function readExactly<T extends Uint8Array>(handle: FileHandle, file: string, position: number, into: T) {
  let done = 0;
  while (done < into.length) {
    const { bytesRead } = await handle.read(into, done, into.length - done, position + done);
    if (bytesRead === 0)
      throw new SafetensorsError(file, `ends at byte ${position + done}: it shrank while being read`);
    done += bytesRead;
  }
  return into;
}

function parse(bytes: Uint8Array, file: string): RawHeader {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new SafetensorsError(file, 'the header is not UTF-8', { cause });
  }
  try {
    return parseHeader(text);
  } catch (cause) {
    if (cause instanceof HeaderSyntaxError) throw new SafetensorsError(file, cause.message, { cause });
    throw cause;
  }
}

function checkTensors(raw: RawHeader, file: string, dataStart: number, size: number): Map<string, TensorInfo> {
  const tensors = new Map<string, TensorInfo>();
  for (const [name, tensor] of raw.tensors) {
    const checksum = raw.metadata.get(CHECKSUM + name);
    if (checksum !== undefined && !/^[0-9a-f]{64}$/.test(checksum))
      throw new SafetensorsError(file, `its checksum ${JSON.stringify(checksum)} is not a SHA-256`, { tensor: name });
    const info = checkTensor(tensor, name, file, dataStart);
    tensors.set(name, checksum === undefined ? info : { ...info, checksum });
  }
  checkContiguous(tensors, file, dataStart, size);
  return tensors;
}

function checkTensor(raw: RawTensor, name: string, file: string, dataStart: number): TensorInfo {
  const { dtype, shape } = raw;
  const [begin, end] = raw.offsets;
  const fail = (problem: string): never => {
    throw new SafetensorsError(file, problem, { tensor: name });
  };
  if (!isTensorDType(dtype)) return fail(`dtype ${JSON.stringify(dtype)} is not one of ${DTYPES.join(', ')}`);
  const bytes = tensorBytes(dtype, shape);
  if (bytes === undefined) return fail(`the size of ${dtype} [${shape}] is above 2^53 - 1 bytes`);
  if (begin > end) return fail(`data_offsets [${begin}, ${end}] run backwards`);
  if (end - begin !== bytes) return fail(`${dtype} [${shape}] needs ${bytes} bytes, data_offsets hold ${end - begin}`);
  return { dtype, shape, position: dataStart + begin, bytes };
}

function checkContiguous(tensors: Map<string, TensorInfo>, file: string, dataStart: number, size: number): void {
  const sorted = [...tensors].sort(([, a], [, b]) => a.position - b.position || a.bytes - b.bytes);
  let end = dataStart;
  for (const [name, { position, bytes }] of sorted) {
    if (position !== end) {
      const kind = position > end ? 'a hole' : 'an overlap';
      const problem = `data begins at ${position - dataStart}, expected ${end - dataStart}: ${kind} in the file`;
      throw new SafetensorsError(file, problem, { tensor: name });
    }
    end += bytes;
    if (end > size) {
      const problem = `data ends at byte ${end}, the file at ${size}: the file is truncated`;
      throw new SafetensorsError(file, problem, { tensor: name });
    }
  }
  if (end !== size) throw new SafetensorsError(file, `${size - end} bytes follow the last tensor`);
}

function checkHeaderChecksum(raw: RawHeader, file: string): void {
  const stored = raw.metadata.get(HEADER_CHECKSUM);
  if (stored === undefined && ![...raw.metadata.keys()].some(isReservedKey)) return;
  const tensors = [...raw.tensors].map(([name, { dtype, shape, offsets }]) => entry(name, dtype, shape, offsets));
  if (stored !== headerChecksum(tensors, raw.metadata))
    throw new SafetensorsError(file, 'the header does not match its checksum: the file is damaged');
}

function headerChecksum(tensors: readonly string[], metadata: ReadonlyMap<string, string>): string {
  const rest = [...metadata].filter(([key]) => key !== HEADER_CHECKSUM);
  return createHash('sha256')
    .update(JSON.stringify([tensors, rest]))
    .digest('hex');
}

function entry(name: string, dtype: string, shape: readonly number[], offsets: readonly [number, number]): string {
  return `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${offsets}]}`;
}

export interface TensorEntry {
  readonly name: string;
  readonly dtype: TensorDType;
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly checksum: string;
}

/** Length and header for tensors that follow in this order; 8-byte aligned, as is each tensor to its element size. */
export function encodeHeader(tensors: readonly TensorEntry[], metadata: Readonly<Record<string, string>>): Uint8Array {
  let offset = 0;
  const entries = tensors.map(({ name, dtype, shape, bytes }) => {
    const begin = offset;
    offset += bytes;
    return entry(name, dtype, shape, [begin, offset]);
  });
  const strings = new Map(Object.entries(metadata));
  for (const { name, checksum } of tensors) strings.set(CHECKSUM + name, checksum);
  strings.set(HEADER_CHECKSUM, headerChecksum(entries, strings));
  const pairs = [...strings].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  const text = new TextEncoder().encode(`{${[`"__metadata__":{${pairs.join(',')}}`, ...entries].join(',')}}`);
  const length = Math.ceil(text.length / LENGTH_BYTES) * LENGTH_BYTES;
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(text, LENGTH_BYTES);
  return bytes;
}

/** Element sizes descending, so that every tensor lies aligned behind an aligned header. */
export function byAlignment(a: { dtype: TensorDType }, b: { dtype: TensorDType }): number {
  return elementBytes(b.dtype) - elementBytes(a.dtype);
}

export function isReservedKey(key: string): boolean {
  return key === HEADER_CHECKSUM || key.startsWith(CHECKSUM);
}

export function fitsHeader(bytes: Uint8Array): boolean {
  return bytes.length - LENGTH_BYTES <= MAX_HEADER_BYTES;
}
