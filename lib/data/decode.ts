import { availableParallelism } from 'node:os';
import { DataError } from './errors.ts';
import { readEncoded } from './picture-reader.ts';
import { inParallel } from './pool.ts';
import { type Decoded, decodeWhole, loadSharp, toGrey } from './sharp.ts';
import { coveringCut, type PictureSize } from './transforms.ts';
import type { OnProgress } from './types.ts';

export interface PictureShape {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
}

/** One encoded picture. */
export interface Picture {
  /** For messages. */
  readonly file: string;
  read(): Promise<Uint8Array>;
}

export interface DecodeOptions {
  /** Resizes so that the picture covers [height, width], then crops the centre. Otherwise all must have one size. */
  readonly size?: readonly [height: number, width: number];
  /** 3 (RGB) unless given; 1 is grey. */
  readonly channels?: 1 | 3;
  /** Leaves damaged files out instead of throwing. */
  readonly skipDamaged?: boolean;
  readonly onProgress?: OnProgress;
}

export interface DecodedPictures extends PictureShape {
  readonly pixels: Uint8Array;
  /** Which pictures were decoded, in order; shorter than the input only with skipDamaged. */
  readonly indices: readonly number[];
}

interface Failure {
  readonly index: number;
  readonly problem: string;
  readonly cause?: unknown;
}

const LISTED = 10;
const MAX_SET_BYTES = 2 ** 32;

/**
 * Decodes in parallel into one uint8 [n, height, width, channels]. `name` is where the pictures are, `shape` what they
 * must have (by default the size asked for, else that of the first one). Damaged files are named and counted.
 */
export async function decodePictures(
  name: string,
  pictures: readonly Picture[],
  options: DecodeOptions,
  shape?: PictureShape,
): Promise<DecodedPictures> {
  await loadSharp();
  const { height, width, channels } = shape ?? (await commonShape(name, pictures, options));
  const bytes = height * width * channels;
  checkTotal(name, pictures.length, { height, width, channels });
  const pixels = new Uint8Array(bytes * pictures.length);
  const damaged: Failure[] = [];
  const otherSize: Failure[] = [];
  let done = 0;
  await inParallel(pictures.length, 2 * availableParallelism() + 2, async (index) => {
    try {
      const decoded = await decode(await (pictures[index] as Picture).read(), channels, options.size);
      if (decoded.height === height && decoded.width === width) pixels.set(decoded.pixels, index * bytes);
      else otherSize.push({ index, problem: `is ${decoded.width}x${decoded.height}` });
    } catch (cause) {
      damaged.push({ index, problem: problemOf(cause), cause });
    }
    options.onProgress?.({ phase: 'decode', done: ++done, total: pictures.length });
  });
  if (otherSize.length > 0) throw differ(name, pictures, otherSize, `${width}x${height}`);
  if (damaged.length === 0) return { height, width, channels, pixels, indices: pictures.map((_, i) => i) };
  if (!options.skipDamaged || damaged.length === pictures.length) throw undecodable(name, pictures, damaged);
  const bad = new Set(damaged.map(({ index }) => index));
  const indices = pictures.map((_, i) => i).filter((i) => !bad.has(i));
  return { height, width, channels, pixels: keepOnly(pixels, bytes, indices), indices };
}

async function commonShape(
  name: string,
  pictures: readonly Picture[],
  { size, channels = 3 }: DecodeOptions,
): Promise<PictureShape> {
  if (size !== undefined) return { height: size[0], width: size[1], channels };
  const damaged: Failure[] = [];
  for (const [index, picture] of pictures.entries()) {
    try {
      const { height, width } = await decodeWhole(await picture.read(), channels);
      return { height, width, channels };
    } catch (cause) {
      damaged.push({ index, problem: problemOf(cause), cause });
    }
  }
  throw undecodable(name, pictures, damaged);
}

function problemOf(error: unknown): string {
  return error instanceof DataError ? error.problem : (error as Error).message;
}

async function decode(bytes: Uint8Array, channels: 1 | 3, size?: readonly [number, number]): Promise<Decoded> {
  if (size === undefined) return decodeWhole(bytes, channels);
  const [height, width] = size;
  const cut = (picture: PictureSize) => coveringCut(picture, { height, width });
  const options = { height, width, interpolation: 'bilinear', workers: availableParallelism() } as const;
  const { pixels, damaged } = await readEncoded([{ bytes, cut }], options);
  const problem = damaged.get(0);
  if (problem !== undefined) throw new Error(problem);
  return channels === 3 ? { pixels, height, width } : toGrey({ pixels, height, width });
}

function keepOnly(pixels: Uint8Array, bytes: number, indices: readonly number[]): Uint8Array {
  const kept = new Uint8Array(bytes * indices.length);
  for (const [to, from] of indices.entries()) kept.set(pixels.subarray(from * bytes, (from + 1) * bytes), to * bytes);
  return kept;
}

function checkTotal(name: string, count: number, { height, width, channels }: PictureShape): void {
  const bytes = count * height * width * channels;
  if (bytes <= MAX_SET_BYTES) return;
  const problem = `${count} pictures of ${width}x${height} take ${(bytes / 2 ** 30).toFixed(1)} GiB; a set holds up to 4`;
  throw new DataError(name, problem, 'Give a smaller size');
}

function undecodable(name: string, pictures: readonly Picture[], damaged: readonly Failure[]): DataError {
  const cure = 'Mend or remove what is listed, or ask to skip damaged files';
  return listing(name, pictures, damaged, 'cannot be decoded', cure);
}

function differ(name: string, pictures: readonly Picture[], others: readonly Failure[], size: string): DataError {
  return listing(name, pictures, others, `are not ${size}`, 'Give a size, to which all are resized');
}

function listing(name: string, pictures: readonly Picture[], failures: readonly Failure[], what: string, cure: string) {
  const sorted = [...failures].sort((a, b) => a.index - b.index);
  const details = sorted.slice(0, LISTED).map(({ index, problem }) => `${pictures[index]?.file}: ${problem}`);
  if (sorted.length > LISTED) details.push(`and ${sorted.length - LISTED} more`);
  const file = sorted.length === 1 ? (pictures[sorted[0]?.index ?? 0]?.file ?? name) : name;
  const problem = `${sorted.length} of ${pictures.length} pictures ${what}`;
  return new DataError(file, problem, cure, { details, cause: sorted[0]?.cause });
}
