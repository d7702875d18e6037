import { readFile } from 'node:fs/promises';
import { type DecodeOptions, decodePictures, type PictureShape } from './decode.ts';
import { DataError } from './errors.ts';

/** Pictures of any size as uint8 [n, height, width, channels]: resized to cover, centre cropped. Throws DataError. */
export async function readImages(
  files: readonly string[],
  { height, width, channels }: PictureShape,
): Promise<Uint8Array> {
  const pictures = files.map((file) => ({ file, read: () => readPicture(file) }));
  const options: DecodeOptions = { size: [height, width], channels };
  return (await decodePictures('pictures', pictures, options)).pixels;
}

async function readPicture(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new DataError(
      file,
      code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`,
      'Check the path',
    );
  }
}
