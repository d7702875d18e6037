// What becomes of pictures, as timm's train script calls it.
import { type Interpolation, interpolations } from '../data/index.ts';
import type { PictureChoice } from '../train/index.ts';
import { UsageError, type Values } from './args.ts';

export const pictureOptions = {
  'img-size': {
    type: 'integer',
    min: 8,
    max: 16384,
    value: 'S',
    description: 'pictures become SxS (default: as they are; of shards what the network was made for)',
  },
  scale: {
    type: 'numbers',
    above: 0,
    max: 1,
    value: 'LOW,HIGH',
    description: "random crops: bounds of their share of the picture's area (default 0.08,1)",
  },
  ratio: {
    type: 'numbers',
    above: 0,
    value: 'LOW,HIGH',
    description: 'random crops: bounds of width / height (default 0.75,1.3333)',
  },
  'color-jitter': {
    type: 'number',
    min: 0,
    value: 'J',
    description: 'brightness, contrast and saturation times 1 - J to 1 + J (default 0)',
  },
  'crop-pct': {
    type: 'number',
    above: 0,
    max: 1,
    value: 'SHARE',
    description: 'evaluation: side of the central crop, as a share of the shorter side (default 0.875)',
  },
  interpolation: {
    type: 'text',
    choices: interpolations,
    value: 'NAME',
    description: 'filter of the resizing: bilinear (default) or bicubic; this and the four above make a folder stream',
  },
} as const;

export function pictureChoice(values: Values<typeof pictureOptions>): PictureChoice {
  const { scale, ratio, interpolation } = values;
  const [imgSize, colorJitter, cropPct] = [values['img-size'], values['color-jitter'], values['crop-pct']];
  return {
    ...(imgSize !== undefined && { imgSize }),
    ...(scale !== undefined && { scale: bounds('--scale', scale) }),
    ...(ratio !== undefined && { ratio: bounds('--ratio', ratio) }),
    ...(colorJitter !== undefined && { colorJitter }),
    ...(cropPct !== undefined && { cropPct }),
    ...(interpolation !== undefined && { interpolation: interpolation as Interpolation }),
  };
}

function bounds(flag: string, numbers: readonly number[]): [number, number] {
  const [low, high] = numbers;
  if (numbers.length === 2 && (low as number) <= (high as number)) return [low as number, high as number];
  throw new UsageError(`${flag} '${numbers}': give two numbers, the lower one first`);
}
