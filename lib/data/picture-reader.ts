// Encoded pictures to pixels of one size. The addon's picture threads cut, resize and recolour all of them, and decode
// JPEG files; PNG, WebP and JPEG files of unusual kinds are decoded by sharp first. One of two files in lib/ that open
// native.ts.
import { type NativePicture, native } from '../native.ts';
import { jpegSize } from './jpeg-header.ts';
import { decodeWhole } from './sharp.ts';
import type { Cut, Interpolation, PictureSize } from './transforms.ts';

export interface PictureOptions {
  /** Of the results. */
  readonly height: number;
  readonly width: number;
  readonly interpolation: Interpolation;
  /** Picture threads. */
  readonly workers: number;
}

export interface Encoded {
  readonly bytes: Uint8Array;
  /** What becomes of a picture of this size. */
  readonly cut: (picture: PictureSize) => Cut;
}

export interface ReadPictures {
  /** [count, height, width, 3]; that of a damaged picture is undefined. */
  readonly pixels: Uint8Array;
  /** Why a picture could not be read, by its index. */
  readonly damaged: ReadonlyMap<number, string>;
}

export async function readEncoded(pictures: readonly Encoded[], options: PictureOptions): Promise<ReadPictures> {
  const damaged = new Map<number, string>();
  const fast = native().readsJpeg;
  const requests = await Promise.all(
    pictures.map((picture, i) => (fast ? jpegRequest(picture) : undefined) ?? decoded(picture, i, damaged)),
  );
  const { pixels, failures } = await readNative(requests, options);
  const others = failures.filter(({ kind }) => kind === 'unsupported').map(({ index }) => index);
  for (const { index, kind, message } of failures)
    if (kind === 'damaged' && !damaged.has(index)) damaged.set(index, message);
  if (others.length > 0) await readOthers(pictures, others, { pixels, damaged }, options);
  return { pixels, damaged: new Map([...damaged].sort(([a], [b]) => a - b)) };
}

function readNative(requests: readonly NativePicture[], options: PictureOptions) {
  const { height, width, interpolation: filter, workers: threads } = options;
  return native().readPictures(requests, { height, width, filter, threads });
}

function jpegRequest({ bytes, cut }: Encoded): NativePicture | undefined {
  const size = jpegSize(bytes);
  return size && { bytes, ...cut(size) };
}

const NOTHING = { bytes: new Uint8Array(3), width: 1, height: 1, box: [0, 0, 1, 1] } as const;

/** Decoded by sharp; where that fails, a black pixel that fills the gap. */
async function decoded({ bytes, cut }: Encoded, index: number, damaged: Map<number, string>): Promise<NativePicture> {
  try {
    const { pixels, height, width } = await decodeWhole(bytes);
    return { bytes: pixels, height, width, ...cut({ height, width }) };
  } catch (error) {
    damaged.set(index, (error as Error).message);
    return { ...NOTHING, ...cut({ width: 1, height: 1 }) };
  }
}

/** JPEG files that only sharp reads, into their places. */
async function readOthers(
  pictures: readonly Encoded[],
  indices: readonly number[],
  { pixels, damaged }: { readonly pixels: Uint8Array; readonly damaged: Map<number, string> },
  options: PictureOptions,
): Promise<void> {
  const requests = await Promise.all(indices.map((i) => decoded(pictures[i] as Encoded, i, damaged)));
  const read = await readNative(requests, options);
  const bytes = options.height * options.width * 3;
  for (const [from, to] of indices.entries())
    pixels.set(read.pixels.subarray(from * bytes, (from + 1) * bytes), to * bytes);
}
