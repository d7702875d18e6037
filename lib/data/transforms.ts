// What is cut out of a picture, and what becomes of it: torchvision's RandomResizedCrop, RandomHorizontalFlip and
// ColorJitter for training, Resize and CenterCrop for evaluation.
import type { NativePicture } from '../native.ts';
import type { RandomStream } from './random.ts';

export type Interpolation = 'bilinear' | 'bicubic';

export const interpolations: readonly Interpolation[] = ['bilinear', 'bicubic'];

export interface TrainingTransform {
  /** Bounds of the crop's share of the area. Default [0.08, 1]. */
  readonly scale?: readonly [number, number];
  /** Bounds of the crop's width / height. Default [3/4, 4/3]. */
  readonly ratio?: readonly [number, number];
  /** Mirrors half of the pictures. Default true. */
  readonly flip?: boolean;
  /** Brightness, contrast and saturation are multiplied by 1 - j to 1 + j, in random order. Default 0. */
  readonly colorJitter?: number;
}

export interface EvaluationTransform {
  /** The shorter side is resized to size / cropPct before the centre is cut out. Default 0.875. */
  readonly cropPct?: number;
}

export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/** How one picture becomes size x size pixels. */
export type Cut = Pick<NativePicture, 'box' | 'scaled' | 'offset' | 'flip' | 'shrink' | 'adjust'>;

const ATTEMPTS = 10;

/** A random crop, resized to size x size (large JPEGs are decoded smaller), mirrored and recoloured. */
export function trainingCut(
  picture: PictureSize,
  size: number,
  { scale = [0.08, 1], ratio = [3 / 4, 4 / 3], flip = true, colorJitter = 0 }: TrainingTransform,
  random: RandomStream,
): Cut {
  return {
    box: randomBox(picture, scale, ratio, random),
    scaled: [size, size],
    offset: [0, 0],
    flip: flip && random.below(2) === 1,
    shrink: true,
    ...(colorJitter > 0 && { adjust: jitter(colorJitter, random) }),
  };
}

type Box = NativePicture['box'];
type Range = readonly [number, number];

/** Area uniform, aspect ratio uniform in its logarithm; after ten boxes that do not fit, the largest central one. */
function randomBox({ width, height }: PictureSize, scale: Range, ratio: Range, random: RandomStream): Box {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const area = width * height * random.between(...scale);
    const aspect = Math.exp(random.between(Math.log(ratio[0]), Math.log(ratio[1])));
    const [w, h] = [Math.round(Math.sqrt(area * aspect)), Math.round(Math.sqrt(area / aspect))];
    if (w < 1 || h < 1 || w > width || h > height) continue;
    return [random.below(width - w + 1), random.below(height - h + 1), w, h];
  }
  return centralBox(width, height, ratio);
}

function centralBox(width: number, height: number, [least, most]: Range): Box {
  const aspect = width / height;
  const w = aspect > most ? Math.max(1, Math.round(height * most)) : width;
  const h = aspect < least ? Math.max(1, Math.round(width / least)) : height;
  return [Math.floor((width - w) / 2), Math.floor((height - h) / 2), w, h];
}

function jitter(by: number, random: RandomStream): NonNullable<Cut['adjust']> {
  const adjust = (['brightness', 'contrast', 'saturation'] as const).map(
    (quality) => [quality, random.between(Math.max(0, 1 - by), 1 + by)] as const,
  );
  for (let i = adjust.length - 1; i > 0; i--) adjust.push(...adjust.splice(random.below(i + 1), 1));
  return adjust;
}

/** The whole picture with its shorter side at size / cropPct, and the centre of that: to the bit as torchvision's. */
export function evaluationCut(picture: PictureSize, size: number, { cropPct = 0.875 }: EvaluationTransform): Cut {
  const shorter = Math.floor(size / cropPct);
  return central(picture, { height: shorter, width: shorter }, { height: size, width: size });
}

/** The whole picture, as small as it covers `size`, and the centre of that. */
export function coveringCut(picture: PictureSize, size: PictureSize): Cut {
  return central(picture, size, size);
}

function central({ height, width }: PictureSize, covered: PictureSize, size: PictureSize): Cut {
  const fitsWidth = width * covered.height <= height * covered.width;
  const scaled = fitsWidth
    ? ([covered.width, Math.trunc((covered.width * height) / width)] as const)
    : ([Math.trunc((covered.height * width) / height), covered.height] as const);
  const offset = [margin(scaled[0], size.width), margin(scaled[1], size.height)] as const;
  return { box: [0, 0, width, height], scaled, offset };
}

/** Halves are rounded to the even number, as Python does. */
function margin(whole: number, part: number): number {
  const half = (whole - part) / 2;
  return Number.isInteger(half) ? half : 2 * Math.round(half / 2);
}
