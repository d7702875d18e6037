// What the tests of the picture reader share: Pillow's pictures and the way to read one.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type NativePicture, type NativePictureOptions, native } from '../../lib/native.ts';

export interface Photo {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly file: string;
  readonly crops: readonly { readonly box: Box; readonly filter: 'bilinear' | 'bicubic'; readonly pixels: string }[];
}

export type Box = readonly [left: number, top: number, width: number, height: number];

const text = await readFile(new URL('../data/pillow_crops.json', import.meta.url), 'utf8');
export const { size, photos } = JSON.parse(text) as { readonly size: number; readonly photos: readonly Photo[] };

/** Those that the addon reads. */
export const usualPhotos = photos.filter(({ crops }) => crops.length > 0);

export function photo(name: string): Photo & { readonly bytes: Uint8Array } {
  const found = photos.find((candidate) => candidate.name === name) as Photo;
  return { ...found, bytes: Buffer.from(found.file, 'base64') };
}

/** Whether the addon reads JPEG files; where not, the tests that need it are skipped, and that is said. */
export const readsJpeg = native().readsJpeg;
if (!readsJpeg) console.warn('skipped: the tests of JPEG files: the addon was built without libjpeg-turbo');

export type ReadOptions = Partial<NativePicture & NativePictureOptions>;

/** One picture through the addon, by default whole and unscaled. */
export async function read(picture: { bytes: Uint8Array; width: number; height: number }, options: ReadOptions = {}) {
  const { box = [0, 0, picture.width, picture.height], scaled = [box[2], box[3]], offset = [0, 0] } = options;
  const { width = scaled[0], height = scaled[1], filter = 'bilinear', threads = 1, tolerant = false } = options;
  const { flip = false, shrink = false } = options;
  const request = { bytes: picture.bytes, box, scaled, offset, flip, shrink };
  return native().readPictures([request], { width, height, filter, threads, tolerant });
}

export async function pixelsOf(...[picture, options]: Parameters<typeof read>): Promise<Uint8Array> {
  const { pixels, failures } = await read(picture, options);
  if (failures[0]) throw new Error(failures[0].message);
  return pixels;
}

/**
 * Mean difference of two decoders' pixels, in levels: libjpeg-turbo's releases round the colours of some pixels
 * differently, by one level.
 */
export const roundingOfDecoders = 0.05;

/** Pixels that integers make; pillow_fixtures.py makes the same. */
export function noise(width: number, height: number): Uint8Array {
  return Uint8Array.from({ length: width * height * 3 }, (_, i) => ((i * 1103515245 + 12345) % 2 ** 31) / 65536);
}

export interface ResizedNoise {
  readonly width: number;
  readonly height: number;
  readonly box: Box;
  readonly scaled: readonly [width: number, height: number];
  readonly filter: 'bilinear' | 'bicubic';
  /** What is wanted of the resized box; default all of it. */
  readonly offset?: readonly [left: number, top: number];
  readonly size?: readonly [width: number, height: number];
}

export async function resizedNoise(request: ResizedNoise): Promise<Uint8Array> {
  const { width, height, box, scaled, filter, offset = [0, 0], size = scaled } = request;
  const picture = { bytes: noise(width, height), width, height, box, scaled, offset };
  const options = { width: size[0], height: size[1], filter, threads: 1 };
  const { pixels, failures } = await native().readPictures([picture], options);
  if (failures[0]) throw new Error(failures[0].message);
  return pixels;
}

export const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

export function meanDifference(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) throw new Error(`${a.length} bytes beside ${b.length}`);
  return a.reduce((sum, value, i) => sum + Math.abs(value - (b[i] as number)), 0) / a.length;
}
