import { checkSeed, RandomStream, STREAM } from './random.ts';
import type { DataSet, ImageSet } from './types.ts';

export interface SyntheticOptions {
  /** Default [32, 32]; each at least 8. */
  readonly size?: readonly [height: number, width: number];
  /** Default 3. */
  readonly channels?: 1 | 3;
  /** Default 10. */
  readonly numClasses?: number;
  /** Default 4,000. */
  readonly trainCount?: number;
  /** Default 1,000. */
  readonly testCount?: number;
  readonly seed?: number;
}

/** Whether (x, y), in units of the shape's radius, lies inside. */
const SHAPES: readonly (readonly [name: string, inside: (x: number, y: number) => boolean])[] = [
  ['disc', (x, y) => x * x + y * y < 1],
  ['square', (x, y) => Math.max(Math.abs(x), Math.abs(y)) < 0.85],
  ['triangle', (x, y) => y < 0.7 && y > 2 * Math.abs(x) - 1],
  ['ring', (x, y) => x * x + y * y < 1 && x * x + y * y > 0.3],
  ['cross', (x, y) => Math.min(Math.abs(x), Math.abs(y)) < 0.3 && Math.max(Math.abs(x), Math.abs(y)) < 1],
];

const ORIENTATIONS = 8;
const TEST_INDEX = 2 ** 31;

/**
 * Seeded pictures of textured shapes. A class is a shape with stripes of one orientation (and, above 40 classes, one
 * stripe width); place, size, phase and both colours are random and drawn alike for every class, so no pixel's mean
 * tells a class and a linear model stays near chance. Classes are balanced.
 */
export function syntheticDataSet(options: SyntheticOptions = {}): DataSet {
  const { size = [32, 32], channels = 3, numClasses = 10, trainCount = 4000, testCount = 1000, seed = 0 } = options;
  for (const [name, value, least] of [
    ['size', size[0], 8],
    ['size', size[1], 8],
    ['numClasses', numClasses, 2],
    ['trainCount', trainCount, 1],
    ['testCount', testCount, 1],
  ] as const)
    if (!Number.isInteger(value) || value < least)
      throw new RangeError(`synthetic: ${name} must be an integer from ${least}, not ${value}`);
  checkSeed(seed);
  const textures = Math.ceil(numClasses / SHAPES.length);
  const classes = Array.from({ length: numClasses }, (_, k) => className(k, textures));
  const draw = (name: string, count: number, firstIndex: number): ImageSet => {
    const [height, width] = size;
    const bytes = height * width * channels;
    const images = new Uint8Array(count * bytes);
    const labels = Int32Array.from({ length: count }, (_, i) => i % numClasses);
    for (let i = 0; i < count; i++) {
      const random = new RandomStream(seed, STREAM.synthetic, firstIndex + i);
      const target = images.subarray(i * bytes, (i + 1) * bytes);
      drawPicture(target, { height, width, channels, textures, label: i % numClasses }, random);
    }
    return { name, images, labels, count, height, width, channels, classes };
  };
  return { name: 'synthetic', classes, train: draw('train', trainCount, 0), test: draw('test', testCount, TEST_INDEX) };
}

interface Texture {
  /** Radians. */
  readonly angle: number;
  /** In units of the shape's radius. */
  readonly period: number;
}

function textureOf(label: number, textures: number): Texture {
  const index = Math.floor(label / SHAPES.length);
  const orientations = Math.min(textures, ORIENTATIONS);
  const widths = Math.ceil(textures / orientations);
  const width = Math.floor(index / orientations);
  return {
    angle: (Math.PI * (index % orientations)) / orientations,
    period: 0.7 * 0.5 ** (width / Math.max(1, widths - 1)),
  };
}

function className(label: number, textures: number): string {
  const [shape] = SHAPES[label % SHAPES.length] as (typeof SHAPES)[number];
  const { angle, period } = textureOf(label, textures);
  const degrees = Math.round((angle * 180) / Math.PI);
  return textures > ORIENTATIONS ? `${shape} ${degrees} ${period.toFixed(3)}` : `${shape} ${degrees}`;
}

interface PictureSpec {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly label: number;
  readonly textures: number;
}

function drawPicture(target: Uint8Array, spec: PictureSpec, random: RandomStream): void {
  const { height, width, channels, label, textures } = spec;
  const [, inside] = SHAPES[label % SHAPES.length] as (typeof SHAPES)[number];
  const { angle, period } = textureOf(label, textures);
  const radius = (Math.min(height, width) / 2) * random.between(0.55, 0.9);
  const centreX = random.between(radius * 0.8, width - radius * 0.8);
  const centreY = random.between(radius * 0.8, height - radius * 0.8);
  const phase = random.between(0, 2 * Math.PI);
  const wave = (2 * Math.PI) / period;
  const ground = Array.from({ length: channels }, () => random.below(256));
  const colours = [...ground, ...ground.map((value) => (value + 64 + random.below(129)) % 256)];
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      const x = (column + 0.5 - centreX) / radius;
      const y = (row + 0.5 - centreY) / radius;
      const stripe = Math.sin(wave * (x * Math.cos(angle) + y * Math.sin(angle)) + phase) > 0;
      const colour = inside(x, y) && stripe ? channels : 0;
      const at = (row * width + column) * channels;
      for (let c = 0; c < channels; c++) {
        const noise = random.below(33) - 16;
        target[at + c] = Math.max(0, Math.min(255, (colours[colour + c] as number) + noise));
      }
    }
}
