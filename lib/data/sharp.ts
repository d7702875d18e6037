// The one file that opens sharp, and only when a picture is to be decoded: all else works where its binary cannot be
// loaded.
import type { default as open, Sharp } from 'sharp';

let loaded: typeof open | undefined;

export async function loadSharp(): Promise<typeof open> {
  try {
    loaded ??= (await import('sharp')).default;
    return loaded;
  } catch (cause) {
    const cure = 'run `npm install --include=optional sharp`';
    throw new Error(`pictures are decoded by sharp, which cannot be loaded (${(cause as Error).message}): ${cure}`, {
      cause,
    });
  }
}

/** uint8 [height, width, channels]. */
export interface Decoded {
  readonly pixels: Uint8Array;
  readonly height: number;
  readonly width: number;
}

/** A whole picture as Pillow's convert('RGB') gives it: colour profiles and orientation ignored, alpha dropped. */
export async function decodeWhole(bytes: Uint8Array, channels: 1 | 3 = 3): Promise<Decoded> {
  const sharp = await loadSharp();
  return rawPixels(sharp(bytes, { failOn: 'warning', ignoreIcc: true }), channels);
}

/** Of RGB pixels. */
export async function toGrey({ pixels, height, width }: Decoded): Promise<Decoded> {
  const sharp = await loadSharp();
  return rawPixels(sharp(pixels, { raw: { height, width, channels: 3 } }), 1);
}

async function rawPixels(image: Sharp, channels: 1 | 3): Promise<Decoded> {
  const converted = image.toColourspace(channels === 1 ? 'b-w' : 'srgb').removeAlpha();
  const { data, info } = await converted.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  return { pixels: data, height: info.height, width: info.width };
}
