import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { readEncoded } from '../../lib/data/picture-reader.ts';
import { RandomStream, STREAM } from '../../lib/data/random.ts';
import {
  coveringCut,
  evaluationCut,
  type Interpolation,
  type PictureSize,
  trainingCut,
} from '../../lib/data/transforms.ts';
import { native } from '../../lib/native.ts';
import { meanDifference, noise, photo, pixelsOf, readsJpeg, roundingOfDecoders, sha256 } from '../image/pictures.ts';

interface Fixtures {
  readonly crops: readonly {
    readonly width: number;
    readonly height: number;
    readonly scale: [number, number];
    readonly ratio: [number, number];
    readonly draws: number;
    readonly figures: Readonly<Record<string, [mean: number, std: number]>>;
  }[];
  readonly evaluation: readonly {
    readonly width: number;
    readonly height: number;
    readonly size: number;
    readonly cropPct: number;
    readonly scaled: number[];
    readonly offset: number[];
  }[];
  readonly evaluated: readonly {
    readonly name: string;
    readonly interpolation: Interpolation;
    readonly size: number;
    readonly cropPct: number;
    readonly pixels: string;
  }[];
  readonly evaluatedNoise: readonly {
    readonly width: number;
    readonly height: number;
    readonly interpolation: Interpolation;
    readonly size: number;
    readonly cropPct: number;
    readonly sha256: string;
  }[];
  readonly colour: readonly {
    readonly width: number;
    readonly height: number;
    readonly pixels: string;
    readonly adjust: ['brightness' | 'contrast' | 'saturation', number][];
    readonly adjusted: string;
  }[];
}

const torchvision = JSON.parse(
  await readFile(new URL('torchvision_fixtures.json', import.meta.url), 'utf8'),
) as Fixtures;

const drawn = 20_000;
const streamOf = (index: number, epoch = 0) => new RandomStream(5, STREAM.crop, index, epoch);

describe('random resized crops', () => {
  it.each(torchvision.crops)(
    'of $width x $height, scale $scale, are spread as torchvision spreads them',
    (expected) => {
      const { width, height, scale, ratio, draws, figures } = expected;
      const boxes = Array.from({ length: drawn }, (_, i) => {
        return trainingCut({ width, height }, 8, { scale, ratio }, streamOf(i)).box;
      });
      const ours: Record<string, number[]> = {
        left: boxes.map(([left]) => left),
        top: boxes.map(([, top]) => top),
        width: boxes.map(([, , w]) => w),
        height: boxes.map(([, , , h]) => h),
        share: boxes.map(([, , w, h]) => (w * h) / (width * height)),
        aspect: boxes.map(([, , w, h]) => Math.log(w / h)),
      };
      for (const [name, [mean, std]] of Object.entries(figures)) {
        const values = ours[name] as number[];
        const average = values.reduce((sum, value) => sum + value, 0) / drawn;
        // Some do not vary (1e-9 is for rounding). Two samples of one distribution: their means differ by more than 4.5 standard errors once in 150,000 times.
        const error = std * Math.sqrt(1 / drawn + 1 / draws);
        expect(Math.abs(average - mean), name).toBeLessThanOrEqual(4.5 * error + 1e-9);
        const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - average) ** 2, 0) / drawn);
        expect(Math.abs(spread - std), `spread of ${name}`).toBeLessThanOrEqual(0.03 * std + 1e-9);
      }
    },
  );

  it('stay inside the picture, however odd it is', () => {
    for (const [width, height] of [
      [1, 1],
      [1, 500],
      [500, 1],
      [7, 5],
    ] as const)
      for (let i = 0; i < 500; i++) {
        const [left, top, w, h] = trainingCut({ width, height }, 8, {}, streamOf(i)).box;
        expect(Math.min(left, top) >= 0 && Math.min(w, h) >= 1 && left + w <= width && top + h <= height).toBe(true);
      }
  });

  it('depend on seed, picture and epoch, and on nothing else', () => {
    const picture = { width: 500, height: 375 };
    const cut = (stream: RandomStream) => trainingCut(picture, 8, { colorJitter: 0.4 }, stream);
    expect(cut(streamOf(3, 2))).toEqual(cut(streamOf(3, 2)));
    const others = [streamOf(3, 1), streamOf(2, 2), new RandomStream(6, STREAM.crop, 3, 2)];
    for (const other of others) expect(cut(other)).not.toEqual(cut(streamOf(3, 2)));
  });

  it('are mirrored every second time, or never', () => {
    const flips = (flip: boolean) =>
      Array.from({ length: 4000 }, (_, i) => trainingCut({ width: 9, height: 9 }, 8, { flip }, streamOf(i)).flip);
    expect(flips(false).some(Boolean)).toBe(false);
    // 4,000 tosses: 4.5 standard deviations are 142.
    expect(Math.abs(flips(true).filter(Boolean).length - 2000)).toBeLessThan(142);
  });

  it('jitter within the bounds, in every order alike', () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const { adjust = [] } = trainingCut({ width: 9, height: 9 }, 8, { colorJitter: 0.4 }, streamOf(i));
      for (const [, factor] of adjust) expect(factor >= 0.6 && factor <= 1.4).toBe(true);
      const order = adjust.map(([quality]) => quality).join(' ');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(130); // 4.5 deviations
    expect(trainingCut({ width: 9, height: 9 }, 8, {}, streamOf(0)).adjust).toBeUndefined();
  });
});

describe('evaluation', () => {
  it.each(torchvision.evaluation)('$width x $height to $size at $cropPct lies where torchvision cuts', (expected) => {
    const { width, height, size, cropPct, scaled, offset } = expected;
    const cut = evaluationCut({ width, height }, size, { cropPct });
    expect(cut).toEqual({ box: [0, 0, width, height], scaled, offset });
  });

  it.skipIf(!readsJpeg).each(torchvision.evaluated)(
    'of $name, $interpolation, has the pixels of torchvision',
    async (expected) => {
      const { name, interpolation, size, cropPct, pixels } = expected;
      const cut = evaluationCut(photo(name), size, { cropPct });
      const read = await pixelsOf(photo(name), { ...cut, filter: interpolation, width: size, height: size });
      expect(meanDifference(read, Buffer.from(pixels, 'base64'))).toBeLessThanOrEqual(roundingOfDecoders);
    },
  );

  it.each(torchvision.evaluatedNoise)(
    'of a PNG of $width x $height, $interpolation, has the pixels of torchvision to the bit',
    async (expected) => {
      const { width, height, size, cropPct, interpolation } = expected;
      const bytes = await sharp(noise(width, height), { raw: { width, height, channels: 3 } })
        .png()
        .toBuffer();
      const cut = (picture: PictureSize) => evaluationCut(picture, size, { cropPct });
      const { pixels } = await readEncoded([{ bytes, cut }], { width: size, height: size, interpolation, workers: 1 });
      expect(sha256(pixels)).toBe(expected.sha256);
    },
  );

  it('without a central crop covers the size', () => {
    const cut = (width: number, height: number) => coveringCut({ width, height }, { width: 20, height: 10 });
    expect(cut(40, 30)).toEqual({ box: [0, 0, 40, 30], scaled: [20, 15], offset: [0, 2] });
    expect(cut(50, 20)).toEqual({ box: [0, 0, 50, 20], scaled: [25, 10], offset: [2, 0] });
    expect(cut(20, 10)).toEqual({ box: [0, 0, 20, 10], scaled: [20, 10], offset: [0, 0] });
  });
});

describe('colours', () => {
  it.each(torchvision.colour)('$adjust as Pillow changes them', async ({ width, height, pixels, adjust, adjusted }) => {
    const bytes = Buffer.from(pixels, 'base64');
    const request = {
      bytes,
      width,
      height,
      box: [0, 0, width, height],
      scaled: [width, height],
      offset: [0, 0],
    } as const;
    const result = await native().readPictures([{ ...request, adjust }], {
      width,
      height,
      filter: 'bilinear',
      threads: 1,
    });
    expect([...result.pixels]).toEqual([...Buffer.from(adjusted, 'base64')]);
  });
});
