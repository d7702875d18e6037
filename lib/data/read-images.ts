import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { type DecodeOptions, decodePictures, type PictureShape } from './decode.ts';
import { DataError } from './errors.ts';
import { readEncoded } from './picture-reader.ts';
import { type EvaluationTransform, evaluationCut, type Interpolation, type PictureSize } from './transforms.ts';

/** Pictures of any size as uint8 [n, height, width, channels]: resized to cover, centre cropped. Throws DataError. */
export async function readImages(
  files: readonly string[],
  { height, width, channels }: PictureShape,
): Promise<Uint8Array> {
  const pictures = files.map((file) => ({ file, read: () => readPicture(file) }));
  const options: DecodeOptions = { size: [height, width], channels };
  return (await decodePictures('pictures', pictures, options)).pixels;
}

export interface EvaluationOptions extends EvaluationTransform {
  readonly size: number;
  /** Default 'bilinear'. */
  readonly interpolation?: Interpolation;
}

/** Pictures as evaluation sees them: the shorter side at size / cropPct, then the centre. Throws DataError. */
export async function readForEvaluation(files: readonly string[], options: EvaluationOptions): Promise<Uint8Array> {
  const { size, interpolation = 'bilinear' } = options;
  const cut = (picture: PictureSize) => evaluationCut(picture, size, options);
  const pictures = await Promise.all(files.map(async (file) => ({ bytes: await readPicture(file), cut })));
  const reading = { height: size, width: size, interpolation, workers: availableParallelism() };
  const { pixels, damaged } = await readEncoded(pictures, reading);
  const [first] = damaged;
  if (first) throw new DataError(files[first[0]] as string, `cannot be decoded: ${first[1]}`, 'Give another picture');
  return pixels;
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
